//! Prints include/plexindex.schema.json: `make header`.

fn main() {
    println!("{:#}", plexindex_abi::methods::schema::schema());
}
