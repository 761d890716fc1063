package plexindex;

import java.time.Duration;
import java.util.Objects;
import java.util.function.Predicate;

/** How to ask. Each method returns another query, so that one may serve any number of calls. */
public final class Query {
    /** As the options say. */
    static final Query DEFAULT = new Query();
    final Duration deadline;
    final int flags;
    final Predicate<? super Progress> progress;

    public Query() { this(null, 0, null); }

    private Query(Duration deadline, int flags, Predicate<? super Progress> progress) {
        this.deadline = deadline;
        this.flags = flags;
        this.progress = progress;
    }

    /**
     * How long the call may take. Zero: it waits for nothing. Negative: as long as it takes. When it passes the status is
     * NOT_YET, or NEEDS_WARM if nothing came from the server.
     */
    public Query deadline(Duration time) { return new Query(Objects.requireNonNull(time, "deadline"), flags, progress); }

    /** The call sends no request, and answers with what is known. */
    public Query offline() { return new Query(deadline, flags | Abi.QUERY_OFFLINE, progress); }

    /**
     * Called on the call's thread while the call waits for the server, at least every 100 ms. False ends the call with
     * the status ABORTED; what was fetched is kept. What the function throws comes out of the call.
     */
    public Query progress(Predicate<? super Progress> function) {
        return new Query(deadline, flags, Objects.requireNonNull(function, "progress"));
    }

    /** For refresh() only: asks the server once for changes, also where the listings are fresh. */
    public Query check() { return new Query(deadline, flags | Abi.QUERY_PROBE, progress); }

    /** For refresh() only: fetches a full listing, and believes it. */
    public Query full() { return new Query(deadline, flags | Abi.QUERY_FULL, progress); }
}
