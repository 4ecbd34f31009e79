"""FFmpeg's language: graphs of filters, sources, runs as values. Pure text; nothing here runs anything."""
