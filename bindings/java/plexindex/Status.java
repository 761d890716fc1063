// Made from include/plexindex.json by `make header`.
package plexindex;

/** plexindex.h says what each is. UNKNOWN is of a library that is newer than this class. CLOSED and NOT_INSTALLED are of this package. */
public enum Status {
    OK(0),
    NOT_FOUND(1),
    AMBIGUOUS(2),
    NOT_YET(3),
    NEEDS_WARM(4),
    INVALID_ARGUMENT(100),
    NULL_POINTER(101),
    UNSUPPORTED(102),
    BUFFER_TOO_SMALL(103),
    ABORTED(104),
    PANIC(105),
    STORE(200),
    STORE_FULL(201),
    CONNECT(300),
    TLS(301),
    UNAUTHORIZED(302),
    FORBIDDEN(303),
    NOT_ON_SERVER(304),
    NOT_PLEX(305),
    STARTING(306),
    BAD_ANSWER(307),
    SERVER_ERROR(308),
    TIMEOUT(309),
    REDIRECTED(310),
    OFFLINE(311),
    LIBRARY_NOT_FOUND(400),
    LIBRARY_AMBIGUOUS(401),
    LIST_AGAIN(402),
    NOT_FETCHED(403),
    CLOSED(-1),
    NOT_INSTALLED(-2),
    UNKNOWN(Integer.MIN_VALUE);

    /** The number in the C ABI. */
    public final int number;

    Status(int number) { this.number = number; }

    static Status of(int number) {
        for (Status one : values()) if (one.number == number) return one;
        return UNKNOWN;
    }
}
