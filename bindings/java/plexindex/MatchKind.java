// Made from include/plexindex.json by `make header`.
package plexindex;

/** plexindex.h says what each is. UNKNOWN is of a library that is newer than this class. */
public enum MatchKind {
    NONE(0),
    CONFIRMED(1),
    EXACT(2),
    MAPPED(3),
    SUFFIX(4),
    FILE_NAME(5),
    UNKNOWN(Integer.MIN_VALUE);

    /** The number in the C ABI. */
    public final int number;

    MatchKind(int number) { this.number = number; }

    static MatchKind of(int number) {
        for (MatchKind one : values()) if (one.number == number) return one;
        return UNKNOWN;
    }
}
