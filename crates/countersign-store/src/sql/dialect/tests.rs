use super::*;
use sqlx::Connection;

#[test]
fn arguments_are_counted_outside_of_literals() {
    let table = [
        ("SELECT 1", 0),
        ("SELECT $1", 1),
        ("SELECT $2, $1, $1", 2),
        ("VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)", 10),
        ("SELECT '$9', $1", 1),
        ("SELECT 'it''s $9' || $2 || $1", 2),
        ("SELECT 'open $3", 0),
    ];
    for (text, count) in table {
        assert_eq!(arguments_named(text), count, "{text}");
    }
}

// HOUSE, "one text, two engines": a forgotten argument is silently NULL on SQLite
#[tokio::test]
async fn a_forgotten_argument_is_an_error() {
    let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    let conn = &mut Conn::Sqlite(&mut connection);
    let forgotten = sql("SELECT $1 = $2").bind("a").one::<(Option<bool>,)>(conn).await;
    assert!(matches!(forgotten, Err(sqlx::Error::Protocol(_))), "{forgotten:?}");
    let too_many = sql("SELECT $1").bind("a").bind("b").execute(conn).await;
    assert!(matches!(too_many, Err(sqlx::Error::Protocol(_))), "{too_many:?}");
    let given = sql("SELECT $1 = $2").bind("a").bind("a").one::<(bool,)>(conn).await;
    assert!(given.unwrap().0);
}

#[tokio::test]
async fn a_text_with_nul_is_an_error() {
    let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    let nul = sql("SELECT $1").bind("a\0b").execute(&mut Conn::Sqlite(&mut connection)).await;
    assert!(matches!(nul, Err(sqlx::Error::Protocol(_))), "{nul:?}");
}

#[test]
fn postgres_is_told_to_hold_what_it_read() {
    assert_eq!(for_postgres("SELECT 1 FROM t /* share */".into()).as_str(), "SELECT 1 FROM t FOR SHARE");
    assert_eq!(for_postgres("SELECT 1".into()).as_str(), "SELECT 1");
}

#[test]
fn trouble_by_code() {
    let table = [
        ("5", Trouble::Locked),
        ("261", Trouble::Locked),
        ("13", Trouble::Full),
        ("4874", Trouble::Full),
        ("11", Trouble::Corrupt),
        ("26", Trouble::Corrupt),
        ("1032", Trouble::ReadOnly),
        ("778", Trouble::Unreachable),
        ("2067", Trouble::Other),
        ("53100", Trouble::Full),
        ("57P01", Trouble::Unreachable),
        ("57014", Trouble::Slow),
        ("28P01", Trouble::Refused),
        ("55P03", Trouble::Locked),
        ("", Trouble::Other),
    ];
    for (code, trouble) in table {
        assert_eq!(Trouble::of_code(code), trouble, "{code}");
    }
}
