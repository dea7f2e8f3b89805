//! What was dialled, as far as signs care.

use std::borrow::Cow;

use sipward_plugin_sdk::numbers::NumberClass;
use sipward_plugin_sdk::{Uri, lists, numbers, warn};

/// A destination.
pub(crate) struct Dialled {
    /// E.164, or what was dialled if that is no number.
    pub(crate) text: String,
    /// The foreign country by ISO 3166-1 alpha-2 (or its calling code); `None` for a
    /// number at home and what is no number.
    pub(crate) abroad: Option<String>,
    /// Whether it is dear.
    pub(crate) dear: bool,
}

/// How numbers are read.
pub(crate) struct Reader {
    pub(crate) region: String,
    pub(crate) home: Vec<String>,
    pub(crate) dear_classes: Vec<NumberClass>,
    pub(crate) dear_list: String,
}

impl Reader {
    /// Reads a URI; `dialled` is what [`Uri::dialled`] says of it.
    pub(crate) fn read(&self, uri: &Uri<'_>, dialled: Option<&str>) -> Dialled {
        let number = dialled.map(|dialled| numbers::parse(dialled, &self.region));
        let Some(Ok(number)) = number else {
            let text = match dialled {
                Some(dialled) => Cow::Borrowed(dialled),
                None => String::from_utf8_lossy(uri.user().unwrap_or_default()),
            };
            return Dialled {
                text: text.into_owned(),
                abroad: None,
                dear: false,
            };
        };
        let at_home = number.region == self.region || self.home.contains(&number.region);
        // Ranges that no plan has are sold to fraudsters.
        let nowhere = !at_home && !number.valid;
        let dear =
            nowhere || self.dear_classes.contains(&number.class) || self.is_listed(&number.e164);
        let abroad = (!at_home).then(|| match number.region.len() {
            2 => number.region,
            // Numbers of no country are told apart by their codes.
            _ => format!("+{}", number.country_code),
        });
        Dialled {
            text: number.e164,
            abroad,
            dear,
        }
    }

    fn is_listed(&self, e164: &str) -> bool {
        if self.dear_list.is_empty() {
            return false;
        }
        lists::longest_prefix(&self.dear_list, e164).map_or_else(
            |_| {
                warn!("the config has no list `{}`", self.dear_list);
                false
            },
            |entry| entry.is_some(),
        )
    }
}
