package plexindex;

/** Each failure of this package. Not found and ambiguous are answers, not failures. */
public final class PlexindexException extends RuntimeException {
    private static final long serialVersionUID = 1;
    private final Status status;
    String answer;

    PlexindexException(Status status, String message) {
        super(message);
        this.status = status;
    }

    static PlexindexException closed() {
        return new PlexindexException(Status.CLOSED, "the index is closed: open it again");
    }

    /** What failed. CLOSED: the index was closed; NOT_INSTALLED: the native library is not there, or is another. */
    public Status status() { return status; }

    /** What a method answers also when it fails: of {@code edit} how far it came. Else null. */
    public String answer() { return answer; }
}
