package plexindex;

/** A line of the library's log. It holds no token, and full paths only at LogLevel.DEBUG. */
public record LogLine(LogLevel level, String message) { }
