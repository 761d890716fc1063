package plexindex;

import java.time.Duration;
import java.util.Objects;
import java.util.function.Predicate;

/** How to ask. Each method changes the query, and returns it. One may serve any number of calls, while nothing changes it. */
public final class Query {
    /** As the options say. */
    static final Query DEFAULT = new Query();
    Duration deadline;
    int flags;
    Predicate<? super Progress> progress;

    /**
     * How long the call may take. Zero: it waits for nothing. Negative: as long as it takes. When it passes the status is
     * NOT_YET, or NEEDS_WARM if nothing came from the server.
     */
    public Query deadline(Duration time) {
        deadline = Objects.requireNonNull(time, "deadline");
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
