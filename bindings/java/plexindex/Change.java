package plexindex;

/**
 * A change of one file of one item. {@code kind}: added, removed, changed, moved or list_again, as plexindex_more.h says.
 * {@code from}: where a moved file was, or a file that a changed item lost. {@code fromKey}: the rating key that the item
 * had before, if it got another one. {@code itemJson}: the item as Library.itemJson() gives it. What is absent is null.
 */
public record Change(
    String kind, String library, String section, String path, String from, String ratingKey, String fromKey, String itemJson) { }
