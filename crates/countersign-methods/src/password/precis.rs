//! The string classes of PRECIS (RFC 8264), as far as passwords and user names need them.
//!
//! Derived here from `unicode-properties` and `unicode-normalization`, which the tree has anyway. `precis-profiles` was
//! weighed: it holds to the tables of Unicode 6.3 and so refuses every letter and sign since 2013, and it makes its
//! tables at build time with a regex engine. What the small crates lack is script and joining type: two context rules
//! go by blocks instead, and a non-joiner is taken after a virama alone (RFC 5892 A.1 knows more places for it).

use unicode_bidi::BidiClass::{self, AL, AN, BN, CS, EN, ES, ET, L, NSM, ON, R};
use unicode_normalization::{
    UnicodeNormalization,
    char::{canonical_combining_class, decompose_compatible},
};
use unicode_properties::{GeneralCategory as Category, UnicodeGeneralCategory};

/// The derived property of a code point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Valid,
    /// In free text, not in identifiers.
    Free,
    /// Where its neighbours allow it.
    Context,
    Unassigned,
    Control,
    Disallowed,
}

/// RFC 8264 8: the first that holds.
pub(super) fn class(c: char) -> Class {
    if let Some(class) = exception(c) {
        return class;
    }
    if ('\u{21}'..='\u{7e}').contains(&c) {
        return Class::Valid;
    }
    let category = c.general_category();
    if category == Category::Unassigned {
        return Class::Unassigned;
    }
    if matches!(c, '\u{200c}' | '\u{200d}') {
        return Class::Context;
    }
    if is_old_hangul(c) || is_ignorable(c) {
        return Class::Disallowed;
    }
    if category == Category::Control {
        return Class::Control;
    }
    if has_compatible(c) {
        return Class::Free;
    }
    match category {
        Category::LowercaseLetter
        | Category::UppercaseLetter
        | Category::OtherLetter
        | Category::DecimalNumber
        | Category::ModifierLetter
        | Category::NonspacingMark
        | Category::SpacingMark => Class::Valid,
        Category::TitlecaseLetter
        | Category::LetterNumber
        | Category::OtherNumber
        | Category::EnclosingMark
        | Category::SpaceSeparator
        | Category::MathSymbol
        | Category::CurrencySymbol
        | Category::ModifierSymbol
        | Category::OtherSymbol
        | Category::ConnectorPunctuation
        | Category::DashPunctuation
        | Category::OpenPunctuation
        | Category::ClosePunctuation
        | Category::InitialPunctuation
        | Category::FinalPunctuation
        | Category::OtherPunctuation => Class::Free,
        _ => Class::Disallowed,
    }
}

// RFC 5892 2.6
fn exception(c: char) -> Option<Class> {
    match c {
        '\u{df}' | '\u{3c2}' | '\u{6fd}' | '\u{6fe}' | '\u{f0b}' | '\u{3007}' => Some(Class::Valid),
        '\u{b7}' | '\u{375}' | '\u{5f3}' | '\u{5f4}' | '\u{30fb}' => Some(Class::Context),
        '\u{660}'..='\u{669}' | '\u{6f0}'..='\u{6f9}' => Some(Class::Context),
        '\u{640}' | '\u{7fa}' | '\u{302e}' | '\u{302f}' | '\u{3031}'..='\u{3035}' | '\u{303b}' => {
            Some(Class::Disallowed)
        }
        _ => None,
    }
}

// RFC 8264 9.9: Hangul_Syllable_Type L, V or T
fn is_old_hangul(c: char) -> bool {
    matches!(c, '\u{1100}'..='\u{11ff}' | '\u{a960}'..='\u{a97c}' | '\u{d7b0}'..='\u{d7fb}')
}

// RFC 8264 9.13: Default_Ignorable_Code_Point; noncharacters are unassigned and were met before
fn is_ignorable(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

// RFC 8264 9.17: toNFKC(c) != c
fn has_compatible(c: char) -> bool {
    let mut normal = std::iter::once(c).nfkc();
    normal.next() != Some(c) || normal.next().is_some()
}

/// RFC 5892 A: may the code point at `at` stand where it stands?
pub(super) fn stands_well(text: &[char], at: usize) -> bool {
    let Some(c) = text.get(at) else { return false };
    let before = at.checked_sub(1).and_then(|i| text.get(i)).copied();
    let after = text.get(at + 1).copied();
    match c {
        '\u{200c}' | '\u{200d}' => before.is_some_and(|b| canonical_combining_class(b) == 9),
        '\u{b7}' => before == Some('l') && after == Some('l'),
        '\u{375}' => after.is_some_and(|a| matches!(a, '\u{370}'..='\u{3ff}' | '\u{1f00}'..='\u{1fff}')),
        '\u{5f3}' | '\u{5f4}' => {
            before.is_some_and(|b| matches!(b, '\u{591}'..='\u{5f4}' | '\u{fb1d}'..='\u{fb4f}'))
        }
        '\u{30fb}' => text.iter().any(|t| is_japanese(*t)),
        '\u{660}'..='\u{669}' => !text.iter().any(|t| matches!(t, '\u{6f0}'..='\u{6f9}')),
        '\u{6f0}'..='\u{6f9}' => !text.iter().any(|t| matches!(t, '\u{660}'..='\u{669}')),
        _ => true,
    }
}

fn is_japanese(c: char) -> bool {
    matches!(c,
        '\u{3005}' | '\u{3007}' | '\u{3041}'..='\u{309f}' | '\u{30a1}'..='\u{30fa}' | '\u{30fc}'..='\u{30ff}'
        | '\u{31f0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// RFC 8265 3.3.1: fullwidth and halfwidth code points become what they are a width of.
pub(super) fn map_width(text: &str) -> String {
    let mut mapped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{ff01}'..='\u{ffee}' => decompose_compatible(c, |d| mapped.push(d)),
            _ => mapped.push(c),
        }
    }
    mapped
}

/// RFC 5893 2, asked of a text that holds a code point which is written from right to left.
pub(super) fn bidi_rule(text: &str) -> bool {
    let class = unicode_bidi::bidi_class;
    if !text.chars().any(|c| matches!(class(c), R | AL | AN)) {
        return true;
    }
    let all = |allowed: &[BidiClass]| text.chars().all(|c| allowed.contains(&class(c)));
    let has = |wanted: BidiClass| text.chars().any(|c| class(c) == wanted);
    let last = text.chars().rev().map(class).find(|c| *c != NSM);
    match text.chars().next().map(class) {
        Some(R | AL) => {
            all(&[R, AL, AN, EN, ES, CS, ET, ON, BN, NSM])
                && matches!(last, Some(R | AL | EN | AN))
                && !(has(EN) && has(AN))
        }
        Some(L) => all(&[L, EN, ES, CS, ET, ON, BN, NSM]) && matches!(last, Some(L | EN)),
        _ => false,
    }
}
