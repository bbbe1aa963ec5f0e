//! Choice of org nodes in the form of a release: a part of the org directory with boxes for the two lists of the form.
//!
//! Every button of the choice sends the whole form. The boxes are applied to the lists, and the form is shown again.

use askama::Template;

use crate::console::format::count;
use crate::console::fragment::Fragment;
use crate::console::input::Input;
use crate::console::page_error::PageError;
use crate::console::texts::Texts;
use crate::console::visit::Visit;
use crate::services::org_directory::list_nodes;
use crate::services::org_tree::{TreeNode, TreePage, TreeSelection};
use slipway_domain::catalog::ids::TenantId;
use slipway_domain::catalog::org_path;

/// Number of nodes that are shown at once. A form has at most 100 fields, and each node may add two.
const SHOWN: usize = 20;

/// Field of the form below which the choice stands.
pub(super) const BELOW: &str = "org_exclusions";

/// Fields of the choice. Buttons have the name of the step that they take.
const OPEN: &str = "nodes.open";
const CLOSE: &str = "nodes.close";
const AFTER: &str = "nodes.after";
const FIND: &str = "nodes.find";
/// Path of the level that is shown; absent while the choice is closed.
const AT: &str = "nodes.at";
const QUERY: &str = "nodes.query";
/// Shown nodes, one per line: [`INCLUDED`] and [`EXCLUDED`] as the boxes were shown, a space, and the path.
const NODES: &str = "nodes.shown";

const INCLUDED: char = '+';
const EXCLUDED: char = '-';

/// Lists of the form, with the boxes for them and their marks.
const LISTS: [(&str, &str, char); 2] = [("org_scopes", "include", INCLUDED), (BELOW, "exclude", EXCLUDED)];

/// Applies the boxes that were changed to the lists of the form. Other lines of the lists stay as they are.
pub(super) fn apply_boxes(input: &mut Input) {
    let shown = input.get(NODES).to_owned();
    for (list, name, mark) in LISTS {
        let mut lines: Vec<String> = input.get(list).lines().map(str::to_owned).collect();
        for (index, line) in shown.lines().enumerate() {
            let Some((marks, path)) = line.split_once(' ') else {
                continue;
            };
            let (was, is) = (marks.contains(mark), input.has(&format!("{name}.{index}")));
            let codes = org_path::split(path);
            if was && !is {
                lines.retain(|line| org_path::split(line) != codes);
            } else if is && !was && !lists(&lines, &codes) {
                lines.push(path.to_owned());
            }
        }
        lines.retain(|line| !line.trim().is_empty());
        input.set(list, lines.join("\n"));
    }
}

fn lists(lines: &[String], codes: &[String]) -> bool {
    lines.iter().any(|line| org_path::split(line) == codes)
}

/// Part of the tree that a sent form asks for.
struct View {
    /// Path of the level.
    at: String,
    query: String,
    after: Option<String>,
}

impl View {
    /// Returns `None` while the choice is closed.
    fn of(input: &Input) -> Option<Self> {
        let open = |name: &str| input.has(name).then(|| input.get(name).to_owned());
        if input.has(CLOSE) {
            return None;
        }
        if let Some(at) = open(OPEN) {
            return Some(Self {
                at,
                query: String::new(),
                after: None,
            });
        }
        Some(Self {
            at: open(AT)?,
            query: input.get(QUERY).trim().to_owned(),
            after: open(AFTER).filter(|_| !input.has(FIND)),
        })
    }

    fn path(&self) -> Vec<String> {
        let codes = org_path::split(&self.at);
        codes.into_iter().filter(|code| !code.is_empty()).collect()
    }

    fn selection(&self) -> TreeSelection {
        if self.query.is_empty() {
            TreeSelection::Below {
                path: self.path(),
                after: self.after.clone(),
            }
        } else {
            TreeSelection::Matching(self.query.clone())
        }
    }
}

#[derive(Template)]
#[template(path = "org_picker.html")]
struct Picker<'a> {
    t: &'a Texts,
    /// Address that the buttons send the form to.
    action: &'a str,
    /// Address of the org directory.
    directory: String,
    open: Option<OpenPicker>,
}

struct OpenPicker {
    at: String,
    query: String,
    shown: String,
    /// Nodes from the top level down to the one whose children are shown: path and code.
    trail: Vec<(String, String)>,
    rows: Vec<Row>,
    /// Code of the last node, if more follow it.
    next: Option<String>,
    /// `true` if a search found more than is shown.
    is_cut: bool,
}

struct Row {
    path: String,
    /// Code, or the whole path of a node that was searched for.
    label: String,
    name: String,
    below: usize,
    below_text: String,
    is_included: bool,
    is_excluded: bool,
}

/// Control for the nodes, with the part of the tree that the last form asked for.
pub(super) struct OrgPicker {
    pub(super) fragment: Fragment,
    /// `true` if a part of the tree is shown.
    pub(super) is_open: bool,
}

impl OrgPicker {
    /// Name of the button that the Enter key presses while the tree is shown.
    pub(super) const FIND: &str = FIND;

    /// Reads the part of the directory that `input` asks for. `action` is the address that shows the form again.
    pub(super) async fn read(
        visit: &Visit,
        tenant: TenantId,
        action: &str,
        input: Option<&Input>,
    ) -> Result<Self, PageError> {
        let open = match input.and_then(|input| View::of(input).map(|view| (view, input))) {
            Some((view, input)) => {
                let selection = view.selection();
                let listed = visit.run_heavy(async move |ctx, caller| {
                    Ok(list_nodes(&ctx, &caller, tenant, &selection, SHOWN).await?)
                });
                Some(OpenPicker::of(view, input, listed.await?))
            }
            None => None,
        };
        let picker = Picker {
            t: visit.texts(),
            action,
            directory: format!("/console/tenants/{tenant}/org"),
            open,
        };
        Ok(Self {
            fragment: Fragment::of(&picker)?,
            is_open: picker.open.is_some(),
        })
    }
}

impl OpenPicker {
    fn of(view: View, input: &Input, page: TreePage) -> Self {
        let path = view.path();
        let is_search = !view.query.is_empty();
        let [included, excluded] = LISTS.map(|(list, ..)| {
            let lines = input.get(list).lines();
            lines.map(str::to_owned).collect::<Vec<_>>()
        });
        let row = |node: &TreeNode| Row {
            path: org_path::join(&node.path),
            label: if is_search {
                node.path.join(" / ")
            } else {
                node.path.last().cloned().unwrap_or_default()
            },
            name: node.name.as_ref().map(ToString::to_string).unwrap_or_default(),
            below: node.below,
            below_text: count(u64::try_from(node.below).unwrap_or(u64::MAX)),
            is_included: lists(&included, &node.path),
            is_excluded: lists(&excluded, &node.path),
        };
        let rows: Vec<_> = page.nodes.iter().map(row).collect();
        let last = page.nodes.last().and_then(|node| node.path.last());
        Self {
            shown: rows.iter().map(Row::shown).collect::<Vec<_>>().join("\n"),
            trail: (1..=path.len())
                .map(|end| (org_path::join(&path[..end]), path[end - 1].clone()))
                .collect(),
            next: last.cloned().filter(|_| page.has_more && !is_search),
            is_cut: page.has_more && is_search,
            rows,
            at: view.at,
            query: view.query,
        }
    }
}

impl Row {
    /// Returns the line of [`NODES`].
    fn shown(&self) -> String {
        let marks = [(self.is_included, INCLUDED), (self.is_excluded, EXCLUDED)];
        let marks = marks.into_iter().filter(|(is_set, _)| *is_set);
        let marks: String = marks.map(|(_, mark)| mark).collect();
        format!("{marks} {}", self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(fields: &[(&str, &str)]) -> Input {
        let owned = fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Input::of_fields(&owned.collect::<Vec<_>>())
    }

    #[test]
    fn only_changed_boxes_change_the_lists() {
        let mut form = input(&[
            ("org_scopes", "HM/HM-SH\n//8007\nHM/HM-BJ"),
            ("nodes.shown", "+ HM/HM-SH\n+ HM/HM-BJ\n HM/HM-GZ\n- HM/HM-XA"),
            ("org_exclusions", "HM/HM-XA"),
            ("include.0", "true"),
            ("include.2", "true"),
            ("exclude.2", "true"),
        ]);
        apply_boxes(&mut form);
        assert_eq!(form.get("org_scopes"), "HM/HM-SH\n//8007\nHM/HM-GZ");
        assert_eq!(form.get("org_exclusions"), "HM/HM-GZ");
    }

    #[test]
    fn a_line_that_was_removed_by_hand_stays_removed() {
        // The box still stands as it was shown.
        let mut form = input(&[("org_scopes", ""), ("nodes.shown", "+ HM"), ("include.0", "true")]);
        apply_boxes(&mut form);
        assert_eq!(form.get("org_scopes"), "");
    }
}
