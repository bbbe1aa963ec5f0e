//! Cycles between modules.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::Sources;

/// Sibling modules, each with the siblings that it depends on.
type Graph = BTreeMap<String, BTreeSet<String>>;

/// Modules of one folder depend on each other in one direction.
#[test]
fn no_siblings_depend_on_each_other() {
    let sources = Sources::read();
    let cycles: Vec<_> = graphs(&sources)
        .iter()
        .flat_map(|(parent, graph)| {
            cycles_of(graph)
                .into_iter()
                .map(move |cycle| (parent.join("::"), cycle))
        })
        .collect();
    assert!(cycles.is_empty(), "{cycles:#?}");
}

/// Returns the dependencies between siblings, by their parent.
fn graphs(sources: &Sources) -> BTreeMap<Vec<String>, Graph> {
    let mut graphs = BTreeMap::<_, Graph>::new();
    for module in &sources.0 {
        for path in &module.inner {
            let Some(home) = sources.home(path) else { continue };
            let shared = module
                .path
                .iter()
                .zip(&home.path)
                .take_while(|(one, other)| one == other)
                .count();
            let (Some(from), Some(to)) = (module.path.get(shared), home.path.get(shared)) else {
                continue;
            };
            let parent = module.path[..shared].to_vec();
            graphs
                .entry(parent)
                .or_default()
                .entry(from.clone())
                .or_default()
                .insert(to.clone());
        }
    }
    graphs
}

/// Returns the strongly connected components with more than one module.
fn cycles_of(graph: &Graph) -> Vec<BTreeSet<String>> {
    let reachable: BTreeMap<_, _> = graph
        .keys()
        .map(|from| (from, reachable_from(graph, from)))
        .collect();
    let mut cycles = BTreeSet::new();
    for (from, reached) in &reachable {
        let cycle: BTreeSet<_> = reached
            .iter()
            .filter(|to| reachable.get(to).is_some_and(|back| back.contains(*from)))
            .cloned()
            .collect();
        if cycle.len() > 1 {
            cycles.insert(cycle);
        }
    }
    cycles.into_iter().collect()
}

fn reachable_from(graph: &Graph, from: &str) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from.to_owned()];
    while let Some(next) = open.pop() {
        for to in graph.get(&next).into_iter().flatten() {
            if reached.insert(to.clone()) {
                open.push(to.clone());
            }
        }
    }
    reached
}
