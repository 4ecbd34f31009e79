"""The one way in which the demo fails."""


class DemoFailed(Exception):
    """Something is not as it should be; the message says what, for whoever watches."""
