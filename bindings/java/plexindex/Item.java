package plexindex;

import com.sun.jna.Pointer;

/** An item of Plex. What is not known is null. {@code keyOnly}: only the keys are known, as no listing has the item. */
public record Item(
    String key, String ratingKey, String title, String guid, String showTitle, String showRatingKey, String showGuid,
    String path, String section, String libraryTitle, Kind kind, Integer year, Integer season, Integer episode,
    boolean keyOnly) {

    static Item of(Pointer block, long at) {
        return new Item(
            Texts.of(block, at + Offsets.ITEM_KEY), Texts.of(block, at + Offsets.ITEM_RATING_KEY), Texts.of(block, at + Offsets.ITEM_TITLE),
            Texts.of(block, at + Offsets.ITEM_GUID), Texts.of(block, at + Offsets.ITEM_SHOW_TITLE), Texts.of(block, at + Offsets.ITEM_SHOW_RATING_KEY),
            Texts.of(block, at + Offsets.ITEM_SHOW_GUID), Texts.of(block, at + Offsets.ITEM_PATH), Texts.of(block, at + Offsets.ITEM_SECTION),
            Texts.of(block, at + Offsets.ITEM_LIBRARY_TITLE), Kind.of(block.getInt(at + Offsets.ITEM_KIND)),
            number(block.getInt(at + Offsets.ITEM_YEAR), 0), number(block.getInt(at + Offsets.ITEM_SEASON), -1),
            number(block.getInt(at + Offsets.ITEM_EPISODE), -1), (block.getInt(at + Offsets.ITEM_FLAGS) & Abi.ITEM_KEY_ONLY) != 0);
    }

    private static Integer number(int value, int none) { return value == none ? null : value; }
}
