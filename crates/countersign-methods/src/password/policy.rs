//! Which passwords may be chosen: NIST SP 800-63B-4 3.1.1.2. Length counts, and that nobody would try it first; no rule
//! asks for signs or capitals, and none makes a password end. Judged when one is set, never when it is used.

use super::{
    breached::Breached,
    normal::{Password, UserName, fold},
};
use zeroize::Zeroizing;

/// Lengths are in code points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordPolicy {
    /// Where the password is all that is asked for.
    pub least_alone: usize,
    /// Where a second factor is asked for every time.
    pub least_with_second_factor: usize,
    /// At most [`Password::MAX`], beyond which nothing is a password.
    pub most: usize,
    /// Words of the deployment: its product, its company, its town.
    pub refused: Vec<String>,
}

impl Default for PasswordPolicy {
    fn default() -> Self {
        Self { least_alone: 15, least_with_second_factor: 8, most: Password::MAX, refused: Vec::new() }
    }
}

/// Whose password it is to be.
#[derive(Debug, Clone, Copy, Default)]
pub struct About<'a> {
    pub user_name: Option<&'a UserName>,
    pub display_name: Option<&'a str>,
    /// What the person signs in to: names and hosts.
    pub services: &'a [&'a str],
    pub with_second_factor: bool,
}

/// Why a password is not taken, said to the person who chose it: what to do stands after the colon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Weak {
    #[error(
        "the password has {length} characters and needs {least}: a few unrelated words are long and easy to keep"
    )]
    TooShort { length: usize, least: usize },
    #[error("the password has more than {most} characters: choose a shorter one")]
    TooLong { most: usize },
    #[error("the password is one character over and over: choose a few unrelated words")]
    OneCharacter,
    #[error("the password is one piece over and over: choose a few unrelated words")]
    Repeated,
    #[error("the password is made of keys or letters that follow each other: choose a few unrelated words")]
    Sequence,
    #[error("the password is little more than your user name: choose one that does not hang on who you are")]
    UserName,
    #[error("the password is little more than your name: choose one that does not hang on who you are")]
    DisplayName,
    #[error(
        "the password is little more than the name of this service: choose one that nobody connects with it"
    )]
    ServiceName,
    #[error(
        "the password is little more than a word that everybody tries: add words that belong to nothing here"
    )]
    RefusedWord,
    #[error(
        "the password is on a list of known passwords, which are tried first: choose one that you use nowhere else"
    )]
    Breached,
}

/// Tried by everybody, with whatever stands around them.
const REFUSED: [&str; 16] = [
    "password",
    "passwort",
    "passphrase",
    "passwd",
    "admin",
    "administrator",
    "root",
    "welcome",
    "letmein",
    "login",
    "changeme",
    "secret",
    "default",
    "iloveyou",
    "countersign",
    "my",
];

/// Keys that lie beside each other, on the keyboards that most people have: rows, rows with shift, columns.
const ROWS: [&str; 32] = [
    "`1234567890-=",
    "~!@#$%^&*()_+",
    "qwertyuiop[]\\",
    "asdfghjkl;'",
    "zxcvbnm,./",
    "qwertzuiopü",
    "asdfghjklöä",
    "yxcvbnm,.-",
    "!\"§$%&/()=?",
    "azertyuiop",
    "qsdfghjklm",
    "wxcvbn,;:!",
    "йцукенгшщзхъ",
    "фывапролджэ",
    "ячсмитьбю",
    "1qaz",
    "2wsx",
    "3edc",
    "4rfv",
    "5tgb",
    "6yhn",
    "7ujm",
    "8ik,",
    "9ol.",
    "0p;/",
    "!qaz",
    "@wsx",
    "#edc",
    "$rfv",
    "%tgb",
    "^yhn",
    "789456123",
];

/// What may stand alone as a sequence.
const RUN: usize = 3;
/// A longer piece is not short any more, even twice.
const PIECE: usize = 8;

impl PasswordPolicy {
    /// The reason first of which a person can do most about.
    pub fn judge(&self, password: &Password, about: &About<'_>, breached: &dyn Breached) -> Result<(), Weak> {
        let length = password.code_points();
        let least = if about.with_second_factor { self.least_with_second_factor } else { self.least_alone };
        if length < least {
            return Err(Weak::TooShort { length, least });
        }
        if length > self.most {
            return Err(Weak::TooLong { most: self.most });
        }
        let folded = Zeroizing::new(fold(password.expose()).chars().collect::<Vec<char>>());
        match period(&folded) {
            Some(1) => return Err(Weak::OneCharacter),
            Some(n) if n <= PIECE => return Err(Weak::Repeated),
            _ => {}
        }
        if let Some(weak) = self.words(about).made_of(&folded) {
            return Err(weak);
        }
        if is_sequence(&folded) {
            return Err(Weak::Sequence);
        }
        // NIST SP 800-63B-4 3.1.1.2: the whole password is looked up, not what it contains
        if breached.contains(password.expose()) {
            return Err(Weak::Breached);
        }
        // the longer piece, twice
        if let Some(piece) = period(&folded).and_then(|n| folded.get(..n))
            && breached.contains(&Zeroizing::new(piece.iter().collect::<String>()))
        {
            return Err(Weak::Breached);
        }
        Ok(())
    }

    fn words(&self, about: &About<'_>) -> Words {
        let mut words = Words(Vec::new());
        if let Some(name) = about.user_name {
            words.add(name.as_str(), Weak::UserName);
        }
        if let Some(name) = about.display_name {
            words.add(name, Weak::DisplayName);
        }
        for service in about.services {
            words.add(service, Weak::ServiceName);
        }
        for word in REFUSED.into_iter().chain(self.refused.iter().map(String::as_str)) {
            words.add(word, Weak::RefusedWord);
        }
        words
    }
}

/// Words folded and without what separates them, each with what to say.
struct Words(Vec<(Vec<char>, Weak)>);

impl Words {
    /// The whole, and the parts of a name that are words by themselves: `alice.smith@example.com` is four.
    fn add(&mut self, word: &str, weak: Weak) {
        let folded = fold(word);
        let whole: Vec<char> = folded.chars().filter(|c| c.is_alphanumeric()).collect();
        if whole.len() >= 2 {
            self.0.push((whole, weak));
        }
        for part in folded.split(|c: char| !c.is_alphanumeric()) {
            let part: Vec<char> = part.chars().collect();
            if part.len() >= RUN && part.iter().any(|c| c.is_alphabetic()) {
                self.0.push((part, weak));
            }
        }
    }

    /// Is the password one of these words or several, with nothing around them but digits, signs, repeats and
    /// sequences? From the end: `from[i]` says with which word, if any, the rest from `i` on is made of such.
    fn made_of(&self, password: &[char]) -> Option<Weak> {
        #[derive(Clone, Copy, PartialEq)]
        enum Rest {
            No,
            Trivial,
            Word(Weak),
        }
        let mut from = vec![Rest::No; password.len()];
        from.push(Rest::Trivial);
        for at in (0..password.len()).rev() {
            let rest = password.get(at..).unwrap_or_default();
            let then = |step: usize| from.get(at + step).copied().unwrap_or(Rest::No);
            let mut best = match rest.first() {
                Some(c) if !c.is_alphabetic() => then(1),
                _ => Rest::No,
            };
            for step in RUN..=run(rest) {
                match then(step) {
                    Rest::Word(weak) => best = Rest::Word(weak),
                    Rest::Trivial if best == Rest::No => best = Rest::Trivial,
                    _ => {}
                }
            }
            for (word, weak) in &self.0 {
                if let Some(step) = begins(rest, word)
                    && then(step) != Rest::No
                {
                    best = Rest::Word(*weak);
                    break;
                }
            }
            if let Some(place) = from.get_mut(at) {
                *place = best;
            }
        }
        match from.first() {
            Some(Rest::Word(weak)) => Some(*weak),
            _ => None,
        }
    }
}

/// How much of the text the word at its beginning takes, with separators inside it and digits that look like letters.
fn begins(text: &[char], word: &[char]) -> Option<usize> {
    let mut text = text.iter().enumerate().peekable();
    let mut end = 0;
    for (n, letter) in word.iter().enumerate() {
        while n > 0
            && let Some((_, c)) = text.peek()
            && !c.is_alphanumeric()
            && !looks_like(**c, *letter)
        {
            text.next();
        }
        let (at, c) = text.next()?;
        if c != letter && !looks_like(*c, *letter) {
            return None;
        }
        end = at + 1;
    }
    Some(end)
}

fn looks_like(sign: char, letter: char) -> bool {
    match letter {
        'a' => matches!(sign, '4' | '@'),
        'e' => sign == '3',
        'g' => matches!(sign, '6' | '9'),
        'i' => matches!(sign, '1' | '!'),
        'l' => matches!(sign, '1' | '!' | '|'),
        'o' => sign == '0',
        's' => matches!(sign, '5' | '$'),
        't' => matches!(sign, '7' | '+'),
        'z' => sign == '2',
        _ => false,
    }
}

/// The length of the piece that the text repeats, at least twice; the last may be cut.
fn period(text: &[char]) -> Option<usize> {
    (1..=text.len() / 2).find(|n| text.iter().zip(text.iter().skip(*n)).all(|(a, b)| a == b))
}

/// Made of a few runs and little else, in one or as two that take turns (`1q2w3e4r`).
fn is_sequence(text: &[char]) -> bool {
    let few = text.len().div_ceil(3);
    let turns =
        |first: usize| Zeroizing::new(text.iter().skip(first).step_by(2).copied().collect::<Vec<_>>());
    runs(text) <= few || runs(&turns(0)) + runs(&turns(1)) <= few
}

/// The fewest runs and single characters that the text is made of.
fn runs(text: &[char]) -> usize {
    let mut fewest = vec![usize::MAX; text.len()];
    fewest.push(0);
    for at in (0..text.len()).rev() {
        let longest = run(text.get(at..).unwrap_or_default());
        let best = std::iter::once(1)
            .chain(RUN..=longest)
            .filter_map(|step| fewest.get(at + step))
            .min()
            .map_or(usize::MAX, |n| n.saturating_add(1));
        if let Some(place) = fewest.get_mut(at) {
            *place = best;
        }
    }
    fewest.first().copied().unwrap_or(0)
}

/// How long the text goes on as it begins: the same again, up or down by one, along a row of keys. Less than three is
/// chance.
fn run(text: &[char]) -> usize {
    let by = |step: i64| {
        1 + text.iter().zip(text.iter().skip(1)).take_while(|(a, b)| follows(**a, **b, step)).count()
    };
    let longest = [0, 1, -1].into_iter().map(by).max().unwrap_or(0);
    ROWS.iter().map(|row| along(text, row)).fold(longest, usize::max).min(text.len())
}

fn follows(a: char, b: char, step: i64) -> bool {
    match (a, b, step) {
        ('9', '0', 1) | ('0', '9', -1) => true,
        _ => i64::from(u32::from(a)) + step == i64::from(u32::from(b)),
    }
}

fn along(text: &[char], row: &str) -> usize {
    let Some(first) = text.first() else { return 0 };
    let Some(at) = row.find(*first) else { return 0 };
    let (before, from) = row.split_at(at);
    let right = from.chars().zip(text).take_while(|(key, c)| key == *c).count();
    let left = before.chars().rev().zip(text.iter().skip(1)).take_while(|(key, c)| key == *c).count();
    right.max(left + 1)
}
