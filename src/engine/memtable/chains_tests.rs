use super::*;

#[test]
fn each_hash_leads_to_its_nodes_newest_first_and_to_no_others() {
    let chains = Chains::new();
    // Few different chains and few different filter bits, so that many hashes collide.
    let hash = |n: u64| (n % 40) << 59 ^ (n % 7) ^ (n / 280) << 20;
    for n in 0..3000 {
        chains.link(hash(n), u32::try_from(n).expect("few"), 0).expect("room");
    }
    for n in 0..6000 {
        let mut right: Vec<u32> = (0..3000).filter(|m| hash(u64::from(*m)) == hash(n)).collect();
        right.reverse();
        let found: Vec<u32> = chains.nodes_with_hash(hash(n)).map(|node| node.record).collect();
        assert_eq!(found, right, "{n}");
    }
    for _ in 3000..NODES {
        chains.link(1, 0, 0).expect("room");
    }
    assert_eq!(chains.link(1, 0, 0), Err(MemtableFull));
}
