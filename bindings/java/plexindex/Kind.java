// Made from include/plexindex.json by `make header`.
package plexindex;

/** plexindex.h says what each is. UNKNOWN is of a library that is newer than this class. */
public enum Kind {
    OTHER(0),
    MOVIE(1),
    SHOW(2),
    SEASON(3),
    EPISODE(4),
    ARTIST(8),
    ALBUM(9),
    TRACK(10),
    CLIP(12),
    PHOTO(13),
    UNKNOWN(Integer.MIN_VALUE);

    /** The number in the C ABI. */
    public final int number;

    Kind(int number) { this.number = number; }

    static Kind of(int number) {
        for (Kind one : values()) if (one.number == number) return one;
        return UNKNOWN;
    }
}
