//! Hashes that other programs made.

const HORSE: &str = "correct horse battery staple";
/// Of two, three and four bytes in UTF-8, and so a test of signed characters too.
const WORLD: &str = "Grüße, 世界";
const LONG_72: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const LONG_100: &str = "\
    xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
const LONG_200: &str = "\
    xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\
    xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

pub(super) struct Vector {
    /// As we call it once it is taken over.
    pub(super) scheme: &'static str,
    pub(super) password: &'static str,
    pub(super) hash: &'static str,
}

const fn v(scheme: &'static str, password: &'static str, hash: &'static str) -> Vector {
    Vector { scheme, password, hash }
}

/// argon2-cffi 25, bcrypt 5, passlib 1.7 and hashlib of Python; htpasswd 2.4; openssl 3.0.
#[rustfmt::skip]
pub(super) const VECTORS: &[Vector] = &[
    // argon2-cffi
    v("argon2id", HORSE, "$argon2id$v=19$m=8192,t=2,p=1$ac2hOzxYnz+YrTxgAgY+lg$gZzC8Kf0lFeNBvw53riYrDHmXZ4EsQuNysyyNVsASM4"),
    v("argon2i", HORSE, "$argon2i$v=19$m=8192,t=2,p=1$FMwsrzfJgYPiVYQDLNUnBw$PMGngJCBEqX9cBZ28+0WiJTnWxNPWuws6hdSpcEbqU0"),
    // htpasswd -B
    v("bcrypt", HORSE, "$2y$05$k50.qe4McDZKDVBA/njZ4uvq1lCjpLbiF7lhsV9dGnwTPeYx8Q3K6"),
    // htpasswd -m
    v("argon2id(apr1)", HORSE, "$apr1$SyyyVOL4$lMG1r8cX1cqE61QNWZENR/"),
    // htpasswd -s
    v("argon2id(sha1)", HORSE, "{SHA}q/eq1kOINtvlJqojGr3i0O73TUI="),
    // openssl passwd -5
    v("sha256-crypt", HORSE, "$5$saltstring$hixOXgchwauyzVtlSM/e7UnQx0qiTk74JE/YU53IbE0"),
    // openssl passwd -6
    v("sha512-crypt", HORSE, "$6$0123456789abcdef$IRwkwpJLTGr5pPic8OsdjqEO70D/JDHDmYDsMG1vDQMYU0XdOnrFLcw/jNxm9S8CquVj080rxDoBjxJ1EB2NI0"),
    // passlib
    v("sha256-crypt", HORSE, "$5$rounds=1000$A/InHvHzzPC3ROxF$FFu.fr2kjMMeNohIkMV.3ANOKTYcacqSq2gHBaJ4Gq7"),
    v("sha512-crypt", HORSE, "$6$rounds=1234$wlU0Z/4EvtjOB3EI$oBLNDKzBulO08RUH.cfusM69UZ6UZebXkYHxDi6rFx58IMnkvSsmCl0N6yLBCWrhC5V1ih4S4raJIYY87Z3fQ0"),
    v("pbkdf2-sha1", HORSE, "$pbkdf2$1000$mdPauzeGcC7l/P.f856T0g$4qL5pKxapkqT693VkXI6SKRkxB0"),
    v("pbkdf2-sha256", HORSE, "$pbkdf2-sha256$1000$pbSWkjLGWCsFICREiLG21g$elSMfVPZEPagxqob4eKxv37is8BeRYihHflMFlRurJ8"),
    v("pbkdf2-sha512", HORSE, "$pbkdf2-sha512$1000$EYKw9h6jFAJgjHGuVSpFSA$yjZMeQ8olnba6sNH19usA2J7bNZePUQGTSXsHyLJkJbYi73SwT8xrYzHVSqsKbdWG8AFcsComFFfJrMy02qrkQ"),
    v("scrypt", HORSE, "$scrypt$ln=12,r=8,p=1$u/feW6s1JkTo/R/j/P9f6w$ubuKZZbB0iJvvy6vwP6j9VKEES+UybDgxXg3X1J0fjo"),
    // argon2-cffi
    v("argon2id", WORLD, "$argon2id$v=19$m=8192,t=2,p=1$yLOSPxYwE8Xy6fhjWwzAMQ$kEdEocCPrZhdNq8z30psDjZF6Sz+/23FCy3MbplHLwA"),
    v("argon2i", WORLD, "$argon2i$v=19$m=8192,t=2,p=1$BWso191PNk8m/wZ+maOrJw$hD3SVc1PL1V1bt5qIT3X310TZfuCEaJ/DlOCkHtGaFI"),
    // htpasswd -B
    v("bcrypt", WORLD, "$2y$05$ukErVHCc3vYNOSZQLIMcketpwca03D3RMv6SDDdeNKXGXYVIOiRb2"),
    // htpasswd -m
    v("argon2id(apr1)", WORLD, "$apr1$pE/JGTIW$3tAR118B4WL8C1P4ZwAro1"),
    // htpasswd -s
    v("argon2id(sha1)", WORLD, "{SHA}PlchUpvOsYA5fTCLH89N3NE1Utk="),
    // openssl passwd -5
    v("sha256-crypt", WORLD, "$5$saltstring$ayiDNc0GSP843i0qhWBQGyhd45sNcbhETagvoZyjeL."),
    // openssl passwd -6
    v("sha512-crypt", WORLD, "$6$0123456789abcdef$91pXhl/ZMvN00e5aCF3RC4OYlClbNDT4A2zBz6echvzGTf.FWqMF1OXpZpaM1ed3tV2sBFANqbwHvZ.OK2u6Q."),
    // passlib
    v("sha256-crypt", WORLD, "$5$rounds=1000$ckfFPrUtqJeZ7PCx$4CyOqaRMUORxIJEVeQgwmYI7jCVo2pefDY49ep85Eg7"),
    v("sha512-crypt", WORLD, "$6$rounds=1234$rlyF3EDgoAYEMM2.$pmD61hFkr.GEYXFtY5z1TTIv9.3N6lusAI.D75.WFo7lkDDGrwdopsHUbq2ukGCRFHBMYTw4iUDf6eOpbv342."),
    v("pbkdf2-sha1", WORLD, "$pbkdf2$1000$a41xbu29d.4do1QqpbRW6g$3uBZ1OsX4v5t4nVS7nWb6sTQdMo"),
    v("pbkdf2-sha256", WORLD, "$pbkdf2-sha256$1000$uheidK5VynlvLeXcW.v9vw$1Rq4jFSkLkqEGfFOP32EptWj5tSHz1FEpw7V4kRHy8w"),
    v("pbkdf2-sha512", WORLD, "$pbkdf2-sha512$1000$2FtrjbHWOqdUag0B4LzXmg$mmYiRawdFf/oof8nO9Mramq4QZPTg7EAnQH7f9xRP9ebco8/mYSqEOStzVl.yU8FQy.g8X.OVWQ0UuSH4.6wqQ"),
    v("scrypt", WORLD, "$scrypt$ln=12,r=8,p=1$vheilPKe09obQ4jx/v//Hw$Vydo67aMi5vtBmYN8/s70GjeYboBJfD0aqQ07ShAqXg"),
    // argon2-cffi
    v("argon2id", "", "$argon2id$v=19$m=8192,t=2,p=1$VP83AdFPfMBlrJeeAvWEhQ$sYfdCo5nUnWkLs4uF2dKRNeceKuUBBtfblIxhILjDf0"),
    v("argon2i", "", "$argon2i$v=19$m=8192,t=2,p=1$xsvnvcTZM5XNapnQXB3GKQ$mRRouIjK6PtAt2BLomYCgEXrL2uXVVPAYB51UXqk9KY"),
    // python bcrypt
    v("bcrypt", "", "$2b$05$QnlMhzqs7R1DGZA2xzniG.v/zsCcj0VFatWOrvSUFC9SorVgqrEl."),
    // openssl passwd -apr1
    v("argon2id(apr1)", "", "$apr1$abcdefgh$L.PT565ESX4Tp2bqNs7Ie."),
    // hashlib
    v("argon2id(sha1)", "", "{SHA}2jmj7l5rSw0yVb/vlWAYkK/YBwk="),
    // passlib
    v("sha256-crypt", "", "$5$rounds=1000$0X8fxe4IQifiLDuW$R4SHbK.QbwN3umoOpQ7bmzuUZuQ8OqLaIvyj3gSXeO3"),
    v("sha512-crypt", "", "$6$rounds=1234$E3xwf7ye6pZrjFNK$yPAJnr5aeaka1KInHmyqgK28WXdMG6.R59RbjD91GcPkQih9/b7cDsxkVsQtGRNTpN70olmn5ozPvGcfTMOhY."),
    v("pbkdf2-sha1", "", "$pbkdf2$1000$xljrHaNUaq2VEgJgbC3lnA$MaImi8DzrHJRg0n3AKMs8EuUAaw"),
    v("pbkdf2-sha256", "", "$pbkdf2-sha256$1000$LMX4n9M6B8CY8z5nrPV.jw$FSc9dJ7r6FQEHtF7SN1Aoeo111bOlrYREsw4Mh.KlFo"),
    v("pbkdf2-sha512", "", "$pbkdf2-sha512$1000$bk0pBSCEcA7hfC.F8H5v7Q$hHX1FPRfeZZccwCNYQmTJkhXHDzN6pqnteBNGa/VOCDWtrlI.tippSDwO4KfsDMRGO/X0aF6iWX4B/9UsLYbnQ"),
    v("scrypt", "", "$scrypt$ln=12,r=8,p=1$8V7rfc8ZYwwBAKBUinHuXQ$5jC7wVO3GBnjF9rft4DZnDpp9nDpa0UKrv4Vi0v0xdY"),
    // argon2-cffi, four lanes
    v("argon2id", HORSE, "$argon2id$v=19$m=8192,t=1,p=4$X+vcrdvQjhQ$6N8kYk7DR1wIdIFlAZnVHg"),
    // python bcrypt
    v("bcrypt", HORSE, "$2a$04$KvUPSlufYGljsHzEUSwt.OXqa1omVf7bQPh07CzWwgjej2ayBur1K"),
    v("bcrypt", HORSE, "$2b$04$ZWXkgNWfjkdCtjwVmF/8se0lplOqk9QA8KWJui0WNs0DdTNk3d7IK"),
    // python bcrypt, 72 bytes
    v("bcrypt", LONG_72, "$2b$04$p0K56edans.9qQ3G.ciIQevBfJF799diPGunHtnyhujCTA.PTL0vW"),
    // openssl passwd -apr1, a long one
    v("argon2id(apr1)", LONG_100, "$apr1$ab$fJbkU2xnhI6N1bBb8S9kI1"),
    // openssl passwd -5, a long one
    v("sha256-crypt", LONG_100, "$5$a$BzuejksQyGKBWETRrz.eTqDpbLY8DKUkVzxxPNKLCQA"),
    // openssl passwd -6, a long one
    v("sha512-crypt", LONG_200, "$6$a$Y6y0x7nNyoMx.1gP.GteUJjwmSMvFVMSql/o/xZfbpU4e8kA6mmnsHIuxh6v286cZXF1P5KsV9lZrdlJmLu5m0"),
    // hashlib, PHC
    v("pbkdf2-sha256", HORSE, "$pbkdf2-sha256$i=1500,l=32$AAECAwQFBgcICQoLDA0ODw$U+PauGw0DZrfVLPQxlAbs/IcTDeWkBnkqq57P68MLPs"),
    v("pbkdf2-sha512", HORSE, "$pbkdf2-sha512$i=1500,l=32$AAECAwQFBgcICQoLDA0ODw$7JqmOt8wvz8/DCqNlJ1K35XgjJ+XWrFp8c9gqd2BnDQ"),
];
