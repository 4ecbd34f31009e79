"""The one way in which the demo fails."""


class DemoFailed(Exception):  # noqa: N818 - as JobFailed and FfmpegFailed
    """Something is not as it should be; the message says what, for whoever watches."""
