// Made from include/plexindex.json by `make header`.
package plexindex;

/** plexindex.h says what each is. UNKNOWN is of a library that is newer than this class. */
public enum Reason {
    NONE(0),
    NO_LOCATION(1),
    NOT_LISTED(2),
    NOT_FETCHED(3),
    SEVERAL_ITEMS(4),
    SEVERAL_LIBRARIES(5),
    UNCONFIRMED(6),
    ONLY_ROOT_DIFFERS(7),
    PATH_TELLS(8),
    NO_EVIDENCE(9),
    CONTRADICTED(10),
    SEVERAL_EPISODES(11),
    EMPTY(12),
    ABOVE_LOCATIONS(13),
    UNAVAILABLE(14),
    UNKNOWN(Integer.MIN_VALUE);

    /** The number in the C ABI. */
    public final int number;

    Reason(int number) { this.number = number; }

    static Reason of(int number) {
        for (Reason one : values()) if (one.number == number) return one;
        return UNKNOWN;
    }
}
