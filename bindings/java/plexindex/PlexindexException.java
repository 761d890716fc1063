package plexindex;

/** Each failure of this package. Not found and ambiguous are answers, not failures. */
public final class PlexindexException extends RuntimeException {
    private static final long serialVersionUID = 1;
    private final String code;

    PlexindexException(String code, String message) {
        super(message);
        this.code = code;
    }

    PlexindexException(String code, String message, Throwable cause) {
        super(message, cause);
        this.code = code;
    }

    static PlexindexException closed() {
        return new PlexindexException("CLOSED", "the index is closed: open it again");
    }

    /**
     * The name of the status, such as {@code LIBRARY_NOT_FOUND}; {@code CLOSED}: the index was closed; {@code
     * NOT_INSTALLED}: the native library is not there, or is another.
     */
    public String code() { return code; }
}
