package plexindex;

/** An item of Plex. What is not known is null. {@code keyOnly}: only the keys are known, as no listing has the item. */
public record Item(
    String key, String ratingKey, String title, String guid, String showTitle, String showRatingKey, String showGuid,
    String path, String section, String libraryTitle, Kind kind, Integer year, Integer season, Integer episode,
    boolean keyOnly) {

    static Item of(Abi.Buffer block, Abi.Item item) {
        return new Item(
            Texts.of(block, item.key), Texts.of(block, item.rating_key), Texts.of(block, item.title), Texts.of(block, item.guid),
            Texts.of(block, item.show_title), Texts.of(block, item.show_rating_key), Texts.of(block, item.show_guid),
            Texts.of(block, item.path), Texts.of(block, item.section), Texts.of(block, item.library_title),
            Kind.of(item.kind), number(item.year, 0), number(item.season, -1), number(item.episode, -1), (item.flags & Abi.ITEM_KEY_ONLY) != 0);
    }

    private static Integer number(int value, int none) { return value == none ? null : value; }
}
