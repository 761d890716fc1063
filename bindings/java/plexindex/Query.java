package plexindex;

import java.time.Duration;
import java.util.Objects;
import java.util.function.Predicate;

/** How to ask. Each method changes the query, and returns it. One may serve any number of calls, while nothing changes it. */
public final class Query {
    /** As the options say. */
    static final Query DEFAULT = new Query();
    long deadlineMs;
    int flags;
    Predicate<? super Progress> progress;

    /**
     * How long the call may take. Zero, or negative as what is left of a time that has passed: it waits for nothing. When
     * it passes the status is NOT_YET, or NEEDS_WARM if nothing came from the server.
     */
    public Query deadline(Duration time) {
        deadlineMs = Options.ms(Objects.requireNonNull(time, "deadline"), 1, 1);
        return this;
    }

    /** The call takes as long as it takes, whatever the options say. */
    public Query noDeadline() {
        deadlineMs = Abi.NO_DEADLINE;
        return this;
    }

    /** The call sends no request, and answers with what is known. */
    public Query offline() { return flag(Abi.QUERY_OFFLINE); }

    /**
     * Called on the call's thread while the call waits for the server, at least every 100 ms. False ends the call with
     * the status ABORTED; what was fetched is kept. What the function throws comes out of the call.
     */
    public Query progress(Predicate<? super Progress> function) {
        progress = Objects.requireNonNull(function, "progress");
        return this;
    }

    /** For refresh() only: asks the server once for changes, also where the listings are fresh. */
    public Query check() { return flag(Abi.QUERY_PROBE); }

    /** For refresh() only: fetches a full listing, and believes it. */
    public Query full() { return flag(Abi.QUERY_FULL); }

    private Query flag(int flag) {
        flags |= flag;
        return this;
    }
}
