// Made from include/plexindex.json by `make header`.
package plexindex;

/** plexindex.h says what each is. UNKNOWN is of a library that is newer than this class. */
public enum Confidence {
    NONE(0),
    LOW(1),
    HIGH(2),
    UNKNOWN(Integer.MIN_VALUE);

    /** The number in the C ABI. */
    public final int number;

    Confidence(int number) { this.number = number; }

    static Confidence of(int number) {
        for (Confidence one : values()) if (one.number == number) return one;
        return UNKNOWN;
    }
}
