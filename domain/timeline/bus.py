"""Where sounds come together: buses, ducking, loudness."""

from domain.timeline.checks import Check
from domain.timeline.value import Part, part, said

MOST_BUSES = 16
LOUDEST = 10.0


@part
class Ducking(Part):
    """A bus becomes quieter while another is heard, such as music under speech."""

    under: str = said("The name of the bus that must be heard.")
    decibels: float = said("By how much it becomes quieter, in decibels.", default=12.0)
    attack_ms: float = said("How fast, in milliseconds.", default=100.0)
    release_ms: float = said("How fast it comes back, in milliseconds.", default=600.0)


@part
class Bus(Part):
    """Sounds that are treated as one. Clips name the bus they play on."""

    name: str = said("What clips call it.")
    volume: float = said("A factor on all of it; 0 is mute.", default=1.0)
    ducking: Ducking | None = said("Under which other bus it becomes quieter.", default=None)


def bus_problems(check: Check, buses: tuple[Bus, ...]) -> None:
    """Names are there once, and ducking leads to a bus that is there and does not duck in turn."""
    if len(buses) > MOST_BUSES:
        check.wrong(f"{len(buses)} buses are more than the {MOST_BUSES} allowed")
        return
    names = [bus.name for bus in buses]
    for index, bus in enumerate(buses):
        here = check.at(index)
        if not bus.name.strip() or names.index(bus.name) != index:
            here.at("name").wrong("it must be a name of its own, and not empty")
        here.between("volume", bus.volume, 0, LOUDEST)
        if ducking := bus.ducking:
            at = here.at("ducking")
            other = next((each for each in buses if each.name == ducking.under), None)
            if other is None or other is bus:
                at.at("under").wrong(f"there is no other bus {ducking.under!r}")
            elif other.ducking:
                at.at("under").wrong(f"bus {other.name!r} is ducked itself")
            at.between("decibels", ducking.decibels, 0, 60)
            at.between("attack_ms", ducking.attack_ms, 0.01, 2000)
            at.between("release_ms", ducking.release_ms, 0.01, 9000)
