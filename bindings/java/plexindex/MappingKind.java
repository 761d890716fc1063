// Made from include/plexindex.json by `make header`.
package plexindex;

/** plexindex.h says what each is. UNKNOWN is of a library that is newer than this class. */
public enum MappingKind {
    HOST_PREFIX(1),
    HOST_PATTERN(2),
    SERVER_PREFIX(3),
    SERVER_PATTERN(4),
    UNKNOWN(Integer.MIN_VALUE);

    /** The number in the C ABI. */
    public final int number;

    MappingKind(int number) { this.number = number; }

    static MappingKind of(int number) {
        for (MappingKind one : values()) if (one.number == number) return one;
        return UNKNOWN;
    }
}
