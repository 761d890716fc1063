// Made from include/plexindex.json by `make header`.
package plexindex;

/** plexindex.h says what each is. UNKNOWN is of a library that is newer than this class. */
public enum LogLevel {
    OFF(-1),
    ERROR(1),
    WARN(2),
    INFO(3),
    DEBUG(4),
    UNKNOWN(Integer.MIN_VALUE);

    /** The number in the C ABI. */
    public final int number;

    LogLevel(int number) { this.number = number; }

    static LogLevel of(int number) {
        for (LogLevel one : values()) if (one.number == number) return one;
        return UNKNOWN;
    }
}
