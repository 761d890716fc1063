package plexindex;

/**
 * A change of one file of one item. {@code kind}: {@code added}, {@code removed}, {@code changed}, {@code moved}, or
 * {@code list_again}: the library has to be listed again, with null and {@code full}. {@code path} is null for that, and for
 * an item without files.
 *
 * <p>A map of paths to keys takes a change in two steps. First it removes {@code path} and {@code from}, for {@code fromKey}
 * or else {@code ratingKey}. Then, unless the kind is {@code removed}, it adds {@code path} with {@code ratingKey}. After
 * {@code list_again}, and after the status LIST_AGAIN, it is emptied. Then it is stored with the cursor.
 *
 * <p>{@code from}: where a moved file was, or a file that a changed item lost. {@code fromKey}: the rating key that the item
 * had before, if it got another one. {@code itemJson}: the item as Library.itemJson() gives it. What is absent is null.
 */
public record Change(
    String kind, String library, String section, String path, String from, String ratingKey, String fromKey, String itemJson) { }
