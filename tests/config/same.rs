//! This project reads the same from unusual files as Skytools.

use super::compare::compare;
use super::peer::Peer;

#[track_caller]
fn check(peer: &mut Peer, text: impl AsRef<[u8]>, set: &[(&str, &str)]) {
    let text = text.as_ref();
    if let Err(what) = compare(peer, text, set) {
        panic!("{:?}: {what}", String::from_utf8_lossy(text));
    }
}

#[test]
fn unusual_syntax() {
    let mut peer = Peer::start();
    #[rustfmt::skip]
    let files = [
        "", "\n", "# only\n", "[s]", "[s", "[]", "[s]\n[]", "[s]\n[] = 1", "[]]", "[[s]]", "[ s ]", "[s] x",
        "[s]x]", "[s]]", "s]", "[a=b]\nc=d", "[a:b", " [s]\n a = 1", "x\n[s]", "x=1\n[s]", "[s]\nx",
        "[s]\nx\n", "[s]\n=", "[s]\n=1", "[s]\n:1", "[s]\n = 1", "[s]\nx=", "[s]\nx", "[s]\nx:=1",
        "[s]\nx=:1", "[s]\nx : y = z", "[s]\nx = y : z", "[s]\nx==1", "[s]\nx=1\nx=2", "[s]\nx=1\nX:2",
        "[s]\n[s]", "[s]\n[t]\n[s]\n", "[s]\n[S]", "[DEFAULT]", "[DEFAULT]\nx=1", "[default]\nx=1",
        "[DEFAULT]\n[DEFAULT]\n[s]", "[DEFAULT]\na=1\n[s]\n[DEFAULT]\nb=1",
        "[DEFAULT]\na=1\n[s]\n[DEFAULT]\na=1", "[DEFAULT]\nx=1\n[s]\nx=2", "[DEFAULT]\nx=%(y)s\n[s]\ny=2",
        "[s]\nx=1\n y", "[s]\nx=1\n\ty", "[s]\nx=1\n y=2", "[s]\nx=1\n y:2\n z", "[s]\nx=1\n [t]",
        "[s]\nx=1\n [t]\ny=2", "[s]\n x=1\n y=2", "[s]\n x=1\n  y=2", "[s]\n  x=1\n y=2\n  z=3",
        "[s]\nx=1\n\n y", "[s]\nx=1\n\n\n  y\n\n", "[s]\nx=1\n \n y", "[s]\nx=1\n#c\n y", "[s]\nx=1\n #c\n y",
        "[s]\nx=1\n ;c\n\n y", "[s]\nx=\n y", "[s]\nx=\n\n y", "[s]\nx=\n #c\n y", "[s]\n y\nx=1",
        "[s]\n\n y = 1\n  2", "[s]\nx=1 # c", "[s]\nx=1;c", "[s]\nx=#c", "[s] # c\nx=1", "[s]#]\nx=1",
        "#[s]\nx=1", ";[s]\n[t]", "[s]\n#x=1\ny=2", "[s]\n  # x\n y=2", "[s]\nx=1\nx y=2", "[s]\nx y = 1",
        "[s]\nx\u{a0}=\u{a0}1\u{a0}", "[s]\nx=1\n\u{a0}2", "[s]\nx=1\n\u{3000}[t]", "[s]\n\u{2003}x=1\n  y=2",
        "[s]\nx=1\n\u{85}y", "[s]\nx=a\u{85}b", "[s]\nx=a\u{2028}b", "[s]\nx=a\u{b}b\u{c}c",
        "[s]\n\u{1c}x=1\u{1f}", "[s]\nx=1\n\u{1d}2", "[s]\nx\u{1e}=1", "[s]\n\u{1f}", "[s]\nx=1\n\u{200b}y=2",
        "[s]\u{1f}\nx=1", "[s]\nx=\u{1f}\n 1", "[\u{1f}]\nx=1", "[s]\n\u{1f}#c", "[s]\nx=\u{180e}1",
        "[s]\r\nx=1\r\n 2\r\n", "[s]\rx=1\r 2\r", "[s]\nx=1\r\r 2", "[s]\n\rx=1", "[s]\nx=a\rb",
        "[s]\nx=a\r\n\r\n\r b", "[s]\n\u{130}=1", "[s]\ni\u{307}=1\n\u{130}=2", "[s]\nΑΣ=1", "[s]\nΣ=%(σ)s",
        "[s]\nß=1\nẞ=2", "[s]\nKEY=%(key)s", "[s]\nKey=1\nx=%(KEY)s", "[s]\nx=é\u{1F600}", "[ü ß]\nx=1",
        "[s]\n\u{feff}x=1", "[s]\nx=\u{feff}1",
    ];
    for text in files {
        check(&mut peer, text, &[]);
    }
    check(&mut peer, b"[s]\nx=\xff\n", &[]);
    check(&mut peer, b"[s]\nx=\xed\xa0\x80\n", &[]);
}

#[test]
fn unusual_values() {
    let mut peer = Peer::start();
    #[rustfmt::skip]
    let values = [
        "", "%", "%%", "%%%", "%%%%", "100%", "100%%", "%s", "%(", "%()", "%()s", "%(a", "%(a)", "%(a)d",
        "%(a)s", "%(A)s", "%( a )s", "%(x)s", "%(none)s", "%%(a)s", "%%%(a)s", "%(a)s%(a)s", "%(a)s%",
        "%(a\n b)s", "%(b)s", "%(c)s", "%(d)s", "%(((a)s", "%(a))s", "$", "${a}", "%(job_name)s",
        "%(JOB_NAME)s.pid", "%(config_dir)s/%(config_file)s", "%(host_name)s", "%(service_name)s",
        "%(config_format)s", "5", "+5", "-5", "- 5", "--5", "05", "0x10", "0b1", "1e3", "1.", ".5", ".",
        "1.5e-3", "1e400", "-1e-400", "inf", "-Infinity", "nan", "iNf", "1_000", "1__0", "_1", "1_", "1_.0",
        "1._0", "1_0.0_1e1_0", "1e_1", "+_1", "1\n", "1 2", "٣", "１", "9223372036854775807",
        "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "18446744073709551615",
        "18446744073709551616", "99999999999999999999999999", "1,5", "0.1", "1", "0", "yes", "NO", "True",
        "fAlse", "ON", "off", "y", "t", "2", "yes no", "\n yes", "ıes", ",", ",,", " , ", "a", "a,b",
        " a , b ,", "a\n b,c", "a,\n b", "a,\u{a0}b", "a:1", "a : 1 , b", "a:1,a:2,b", "a:b:c", ":", ":1",
        "a:", "b,a:1,b:2", "~", "~/", "~/x", "~//x", "~/x/", "~root", "~root/x", "~root//x",
        "~no-such-user/x", "-", "x/~", " ~/x", "\n ~/x", "1K", "2 B", "2B", "3k", "4 MB", "10M", "4 kB",
        "4  kb", "4\tK", "1.5K", "-1K", "K", "B", "1KK", "1KiB", "1KB B", "1Y", "15E", "16E", "1\u{212a}",
        "\n 1K", "00010", "1bb", "1 ",
    ];
    for value in values {
        let more = "a = A\nb = %(a)s%%\nc = %(d)s\nd = %(c)s";
        check(&mut peer, format!("[s]\nx = {value}\n{more}\n"), &[]);
        check(&mut peer, format!("[DEFAULT]\nx = {value}\n[s]\n{more}\n[t]\na = B\n"), &[("c", "C")]);
        let set = value.trim().replace("\n ", "\n");
        check(&mut peer, format!("[s]\n{more}\n"), &[("X", &set)]);
    }
}

#[test]
fn chains_of_references() {
    let mut peer = Peer::start();
    for length in 1..14 {
        for end in ["end", "%%", "%", "", "%(v0)s"] {
            let links: String = (0..length).map(|at| format!("v{at} = %(v{})s\n", at + 1)).collect();
            check(&mut peer, format!("[s]\n{links}v{length} = {end}\n"), &[]);
        }
    }
}

#[test]
fn built_ins_and_overrides() {
    let mut peer = Peer::start();
    for name in ["job_name", "service_name", "host_name", "config_dir", "config_file"] {
        let all = "all = %(job_name)s %(service_name)s %(host_name)s %(config_dir)s %(config_file)s";
        check(&mut peer, format!("[s]\n{all}\n{name} = mine\n"), &[]);
        check(&mut peer, format!("[DEFAULT]\n{name} = mine\n[s]\n{all}\n"), &[]);
        check(&mut peer, format!("[s]\n{all}\n"), &[(name, "mine")]);
        check(&mut peer, format!("[s]\n{all}\n{name} = x%({name})s\n"), &[]);
    }
    check(&mut peer, "[s]\nx = 1\ny = %(x)s", &[("x", "2"), ("X", "3"), ("new", "%(y)s")]);
    check(
        &mut peer,
        "[s]\nx = 1\nx.y.a = 1\nx.*.a = 2\n*.*.b = %(x)s\nx.*.c = 1\na = 0\nb = 0\nc=0\n",
        &[("x.y.c", "%(a)s")],
    );
    for format in ["1", "3", "", "01", "1 "] {
        check(&mut peer, format!("[s]\nconfig_format = {format}\nx = ${{a}}\na = 1"), &[]);
        check(&mut peer, format!("[DEFAULT]\nCONFIG_FORMAT : {format}\n[s]\nx = ${{a}}\na = 1"), &[]);
    }
}
