//! Prints include/plexindex.schema.json: `make header`.

fn main() {
    print!("{}", plexindex_abi::methods::schema::text());
}
