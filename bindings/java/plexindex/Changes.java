package plexindex;

import java.util.ArrayList;
import java.util.List;

/** A page of the feed. {@code cursor} is for the next call, which has something now if there is {@code more}. */
public record Changes(List<Change> changes, String cursor, boolean more) {
    private static final int HEAD = 2, FIELDS = 8;

    static Changes of(String page) {
        String[] texts = page.split("\0", -1);
        for (int at = 0; at < texts.length; at++) if (texts[at].isEmpty()) texts[at] = null;
        List<Change> changes = new ArrayList<>();
        for (int at = HEAD; at + FIELDS < texts.length; at += FIELDS)
            changes.add(new Change(texts[at], texts[at + 1], texts[at + 2], texts[at + 3], texts[at + 4], texts[at + 5], texts[at + 6], texts[at + 7]));
        return new Changes(List.copyOf(changes), texts[0], texts[1] != null);
    }
}
