//! SQL where names are expected.
//!
//! PBXs and their billing put names from headers into queries. What is looked for
//! is a quote that ends a literal and goes on as SQL, and phrases that no name has.
//! O'Brien and a `Rock 'and' Roll` bar have to get through.

use sipward_plugin_sdk::decode_escapes;

/// Bytes of a text that are looked at. Longer names are no names, and the rest of
/// what a query would be made of stands in front.
const LOOKED_AT: usize = 512;

/// Phrases that no name has, and that begin with this byte. Most bytes of a Contact
/// begin none.
const fn phrases(first: u8) -> &'static [&'static [u8]] {
    match first {
        b'u' => &[
            b"union select",
            b"union all select",
            b"union distinct select",
        ],
        b'i' => &[
            b"insert into ",
            b"into outfile",
            b"into dumpfile",
            b"information_schema",
        ],
        b'd' => &[b"drop table", b"drop database", b"delete from "],
        b'w' => &[b"waitfor delay"],
        b'x' => &[b"xp_cmdshell"],
        b'p' => &[b"pg_sleep("],
        b'b' => &[b"benchmark("],
        b'l' => &[b"load_file("],
        b's' => &[b"sleep("],
        b'(' => &[b"(select "],
        b'@' => &[b"@@version"],
        b';' => &[
            b";drop ",
            b";delete ",
            b";insert ",
            b";update ",
            b";exec ",
            b";select ",
            b";declare ",
            b";shutdown",
            b";--",
        ],
        _ => &[],
    }
}

/// What goes on as SQL after a literal, if a comparison follows.
const CONNECTIVES: [&[u8]; 4] = [b"or", b"and", b"xor", b"having"];

/// What goes on as SQL after a literal.
const CLAUSES: [&[u8]; 2] = [b"order by ", b"group by "];

/// Whether a text is SQL rather than a name.
pub(crate) fn is_injection(text: &[u8]) -> bool {
    let text = text.get(..LOOKED_AT).unwrap_or(text);
    !is_harmless(text) && is_sql(text)
}

/// The same of a text that may be SQL by the bytes that it has.
fn is_sql(text: &[u8]) -> bool {
    let plain = plain(text);
    plain.iter().enumerate().any(|(at, byte)| match byte {
        b'\'' | b'"' | b'`' => ends_a_literal(after(&plain, at)),
        // A connective.
        b'o' | b'a' => {
            let (before, rest) = plain.split_at(at);
            is_word_start(before) && is_tautology(rest)
        }
        first => {
            let begins = |phrase: &&[u8]| plain.get(at..).is_some_and(|it| it.starts_with(phrase));
            phrases(*first).iter().any(begins)
        }
    })
}

/// What follows a byte.
fn after(text: &[u8], at: usize) -> &[u8] {
    text.get(at + 1..).unwrap_or_default()
}

/// Whether a text has only bytes of names and addresses, and none of the phrases that could
/// be made of them. Most texts are of this kind.
fn is_harmless(text: &[u8]) -> bool {
    let is_fit = |byte: &u8| {
        byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'.' | b'-' | b'/' | b':' | b',' | b'<' | b'@' | b';' | b'='
            )
    };
    let begins_phrase = |pair: &[u8]| matches!(pair, b"@@" | b";-" | b";s" | b";S");
    text.iter().all(is_fit) && !text.windows(2).any(begins_phrase)
}

/// Lower case without escapes (twice), comments and doubled spaces; `+` is a space.
fn plain(text: &[u8]) -> Vec<u8> {
    let once = decode_escapes(text).unwrap_or(text.into());
    let twice = decode_escapes(&once).unwrap_or(once.as_ref().into());
    let mut plain: Vec<u8> = Vec::with_capacity(twice.len());
    let mut rest: &[u8] = &twice;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        let mut byte = byte.to_ascii_lowercase();
        if byte == b'/' && after.first() == Some(&b'*') {
            let end = after.windows(2).skip(1).position(|pair| pair == b"*/");
            rest = end
                .and_then(|end| after.get(end.saturating_add(3)..))
                .unwrap_or_default();
            byte = b' ';
        }
        if byte == b'+' || byte.is_ascii_whitespace() || byte.is_ascii_control() {
            byte = b' ';
        }
        // `; drop` is `;drop`, `( select` is `(select`.
        if byte != b' ' || !matches!(plain.last(), None | Some(b' ' | b';' | b'(')) {
            plain.push(byte);
        }
    }
    plain
}

/// Whether what follows a quote goes on as SQL.
fn ends_a_literal(after: &[u8]) -> bool {
    let rest = after.trim_ascii_start();
    let rest = match rest.iter().position(|byte| *byte != b')') {
        Some(start) => rest.get(start..).unwrap_or_default().trim_ascii_start(),
        None => return false,
    };
    if rest.starts_with(b"--") || rest.starts_with(b"||") || rest == b"#" {
        return true;
    }
    if let Some(rest) = rest.strip_prefix(b"=") {
        return matches!(rest.trim_ascii_start().first(), Some(b'\'' | b'"' | b'`'));
    }
    CLAUSES.iter().any(|clause| rest.starts_with(clause)) || is_tautology(rest)
}

/// `or 1=1` and its like: a connective, and a comparison or the end after it.
fn is_tautology(text: &[u8]) -> bool {
    CONNECTIVES.iter().any(|connective| {
        let Some(rest) = text.strip_prefix(*connective) else {
            return false;
        };
        let parted = matches!(rest.first(), Some(b' ' | b'\'' | b'"' | b'`' | b'('));
        let compares = |byte: &u8| matches!(byte, b'=' | b'<' | b'>');
        parted && (rest.iter().any(compares) || rest.windows(2).any(|pair| pair == b"--"))
    })
}

/// Whether a word starts after this. A name with `a=b` in it has no space or digit
/// before a connective that is one.
fn is_word_start(before: &[u8]) -> bool {
    match before.split_last() {
        Some((b' ', words)) => words.last().is_some_and(|byte| {
            byte.is_ascii_digit() || matches!(byte, b')' | b'\'' | b'"' | b'`')
        }),
        Some((b')' | b'\'' | b'"' | b'`', _)) => true,
        _ => false,
    }
}

/// The user name in a header of digest credentials: RFC 7616 section 3.4.
pub(crate) fn user_of(credentials: &[u8]) -> Option<Vec<u8>> {
    let name = b"username";
    let starts = credentials.windows(name.len());
    let at = starts
        .into_iter()
        .position(|window| window.eq_ignore_ascii_case(name))?;
    let rest = credentials.get(at + name.len()..)?.trim_ascii_start();
    // `username*` of RFC 7616 section 3.4.4 has escapes, which are undone later.
    let rest = rest.strip_prefix(b"*").unwrap_or(rest).trim_ascii_start();
    let value = rest.strip_prefix(b"=")?.trim_ascii_start();
    let Some(quoted) = value.strip_prefix(b"\"") else {
        let end = value.iter().position(|byte| *byte == b',');
        return value.get(..end.unwrap_or(value.len())).map(<[u8]>::to_vec);
    };
    let mut user = Vec::new();
    let mut bytes = quoted.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => break,
            b'\\' => user.extend(bytes.next()),
            other => user.push(*other),
        }
    }
    Some(user)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_at_once_is_no_sql() {
        for plain in [
            "alice",
            "<sip:alice@192.0.2.1:5061;transport=tls",
            "<sips:a.b-c@h;ob",
        ] {
            assert!(is_harmless(plain.as_bytes()), "{plain}");
        }
        for phrase in (0..=u8::MAX).flat_map(phrases) {
            for address in [&b""[..], b"<sip:a", b"<sip:a@h;x=1"] {
                let address = [address, phrase].concat();
                let upper = address.to_ascii_uppercase();
                assert!(is_injection(&address), "{}", address.escape_ascii());
                assert!(is_injection(&upper), "{}", upper.escape_ascii());
            }
        }
        // Whatever else is made of these.
        let pieces = [
            "<", "@", ";", "=", "-", "--", "or", "and", "1", "select", "drop", "shutdown", "/",
            ".", ":", ",", "having", "version", "exec", "sip", "x",
        ];
        let mut state = 1u32;
        let mut next = |limit: usize| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) as usize % limit
        };
        let mut plain = 0;
        for _ in 0..20_000 {
            let length = 1 + next(9);
            let text: String = (0..length).map(|_| pieces[next(pieces.len())]).collect();
            if is_harmless(text.as_bytes()) {
                plain += 1;
                assert!(!is_sql(text.as_bytes()), "{text}");
            }
        }
        assert!(plain > 5_000, "{plain}");
    }

    #[test]
    fn phrases_are_found_by_their_first_byte() {
        let all = (0..=u8::MAX).flat_map(|first| phrases(first).iter().map(move |it| (first, it)));
        let mut count = 0;
        for (first, phrase) in all {
            assert_eq!(phrase[0], first, "{}", phrase.escape_ascii());
            assert!(
                is_injection(&[b"x ", *phrase].concat()),
                "{}",
                phrase.escape_ascii()
            );
            count += 1;
        }
        assert_eq!(count, 27);
        // Connectives are looked for at these, which begin no phrase.
        assert!(phrases(b'o').is_empty() && phrases(b'a').is_empty());
    }

    #[test]
    fn sql_is_found() {
        for text in [
            "' or '1'='1",
            "admin'--",
            "admin' #",
            "admin'#",
            "100'; DROP TABLE users",
            "a'%20OR%201%3D1--",
            "a%2527%2520or%25201=1",
            "1 UNION SELECT password FROM sip_users",
            "1/**/union/*x*/all/**/select/**/1",
            "1+union+select+1",
            "100 or 1=1",
            "x') or ('a'='a",
            "Union Select",
            "x\" or \"\"=\"",
            "x' AND SLEEP(5)",
            "x' and (select 1)",
            "x'||(select version())",
            "';WAITFOR DELAY '0:0:5'",
            "x' order by 9",
            "'='",
            "x';select 1",
            "`; exec xp_cmdshell",
            "1; update users set a=1",
        ] {
            assert!(is_injection(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn names_are_not() {
        for text in [
            "",
            "alice",
            "+49-30-123456",
            "Conor O'Brien",
            "D'Andrea",
            "L'Oreal (Paris)",
            "Rock 'and' Roll",
            "Fish 'or' Chips",
            "Bob's '#1' phone",
            "Marks & Spencer; Sales",
            "Asterisk PBX 18.9-cert4 (FPBX-15.0.16)",
            "Yealink SIP-T46U 108.86.0.20",
            "Select Comfort Union",
            "Workers' Union Hall",
            "Hotel Cote d'Or (Dijon)",
            "Room 5 and 6 (Berlin)",
            "Boys'; Sales team",
            "/* never closed union select",
            "reception;isub=12",
            "user=phone",
            "Trade or Sale (Berlin)",
            "Mac and Cheese = love",
        ] {
            assert!(!is_injection(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn only_so_much_is_looked_at() {
        let text = |filler: usize| format!("{}' or 1=1--", "x".repeat(filler));
        assert!(is_injection(text(LOOKED_AT - 11).as_bytes()));
        assert!(!is_injection(text(LOOKED_AT).as_bytes()));
    }

    #[test]
    fn user_names_of_credentials() {
        for (header, user) in [
            (&br#"Digest username="bob", realm="r""#[..], Some("bob")),
            (
                br#"Digest realm="r", USERNAME = "a\"b\\c" "#,
                Some(r#"a"b\c"#),
            ),
            (br#"Digest username=bob,realm="r""#, Some("bob")),
            (br#"Digest username*=UTF-8''a%27"#, Some("UTF-8''a%27")),
            (br#"Digest username="open"#, Some("open")),
            (b"Digest username", None),
            (b"Digest realm=\"r\"", None),
            (b"", None),
        ] {
            let expected = user.map(|user| user.as_bytes().to_vec());
            assert_eq!(user_of(header), expected, "{}", header.escape_ascii());
        }
    }
}
