package plexindex;

/** What a method answers: JSON, and OK or a status such as NOT_FOUND and NOT_YET. */
public record Reply(Status status, String json) { }
