//! Components that only changed their name.

use std::collections::{BTreeMap, BTreeSet};

use super::ids::{Id, Section};
use super::model::Model;

/// Which of green's ids stand for which of blue's. Ids that are equal need no entry.
#[derive(Default)]
pub(crate) struct Renames {
    to_blue: BTreeMap<(Section, Id), Id>,
}

impl Renames {
    /// Finds, for each type, the one component that only blue uses and the one that only green uses.
    ///
    /// Two or more on either side are left alone: guessing which became which could hide a difference. A wrong pair hides
    /// nothing either way, since the settings of a pair are compared, and the new name is itself a finding.
    pub(crate) fn find(blue: &Model<'_>, green: &Model<'_>) -> Self {
        let mut to_blue = BTreeMap::new();
        for section in Section::ALL {
            let (of_blue, of_green) = (used(blue, section), used(green, section));
            let only_blue: Vec<&Id> = of_blue.difference(&of_green).collect();
            let only_green: Vec<&Id> = of_green.difference(&of_blue).collect();
            for id in &only_green {
                let same_kind = |ids: &[&Id]| ids.iter().filter(|o| o.kind == id.kind).count() == 1;
                let partner = only_blue.iter().find(|o| o.kind == id.kind);
                if let Some(partner) = partner.filter(|_| same_kind(&only_blue) && same_kind(&only_green)) {
                    to_blue.insert((section, (*id).clone()), (*partner).clone());
                }
            }
        }
        Self { to_blue }
    }

    /// Blue's id for one of green's.
    pub(crate) fn blue(&self, section: Section, green: &Id) -> Id {
        self.to_blue.get(&(section, green.clone())).unwrap_or(green).clone()
    }

    /// Green's id for one of blue's.
    pub(crate) fn green(&self, section: Section, blue: &Id) -> Id {
        let found = self.to_blue.iter().find(|((s, _), b)| *s == section && *b == blue);
        found.map_or(blue, |((_, green), _)| green).clone()
    }

    /// Every pair, blue's first.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (Section, &Id, &Id)> {
        self.to_blue.iter().map(|((section, green), blue)| (*section, blue, green))
    }

    /// What green has and blue has not, and the other way round; each in its own order.
    pub(crate) fn changes(&self, section: Section, blue: &[Id], green: &[Id]) -> (Vec<Id>, Vec<Id>) {
        let renamed = |id: &Id| match section {
            // A pipeline's ends may be connectors.
            Section::Receivers | Section::Exporters => {
                let id = self.blue(section, id);
                self.blue(Section::Connectors, &id)
            }
            _ => self.blue(section, id),
        };
        let as_blue: Vec<Id> = green.iter().map(renamed).collect();
        let added =
            green.iter().zip(&as_blue).filter(|(_, b)| !blue.contains(b)).map(|(g, _)| g.clone()).collect();
        let removed = blue.iter().filter(|b| !as_blue.contains(b)).cloned().collect();
        (added, removed)
    }
}

/// Used and defined: a name without a definition is another matter.
fn used(model: &Model<'_>, section: Section) -> BTreeSet<Id> {
    model.used(section).into_iter().filter(|id| model.component(section, id).is_some()).collect()
}
