use std::io::Write as _;

use proptest::prelude::*;
use wasmtime::Engine;
use weir_rules::classification::Classification;
use weir_rules::compile::{Compiler, load};
use weir_rules::syntax::SourceFile;

use super::*;

const RULES: &str = "alert tcp $EXTERNAL_NET any -> $HOME_NET any (content:\"one\"; sid:1;)\n\
                     alert udp any any -> any 53 (content:\"two\"; pcre:\"/t.o/\"; sid:2;)\n";

const CORE: &str = r#"(module (func (export "four") (result i32) (i32.const 4)))"#;

fn draft() -> Draft {
    let file = SourceFile {
        name: "my.rules".into(),
        bytes: RULES.into(),
    };
    let compiler = Compiler::new(Variables::stock(), Classification::stock()).keeping_variables();
    Draft {
        rules: stored::write(load(&[file], &compiler)).expect("written"),
        counts: Counts {
            rules: 2,
            ..Counts::default()
        },
        code: Some(wat::parse_str(CORE).expect("is Wasm")),
        modules: vec![Module {
            name: "nothing.wasm".to_owned(),
            component: wat::parse_str("(component)").expect("is Wasm"),
        }],
        ..Draft::default()
    }
}

fn key() -> SecretKey {
    SecretKey::generate().expect("a key")
}

fn trust(key: &SecretKey) -> Trust {
    Trust {
        keys: vec![key.public()],
        ..Trust::default()
    }
}

/// A file that was taken apart in memory, and one that is read from where it lies, though it has gone from there.
fn opened(file: &[u8], trust: &Trust) -> [Result<Built, BuiltError>; 2] {
    let mut there = tempfile::NamedTempFile::new().expect("a file");
    there.write_all(file).expect("written");
    let in_file = Built::read(there.path(), trust);
    [Built::parse(file.to_vec(), trust), in_file]
}

/// All that is in a file, if it is as its header says.
fn whole(built: Built) -> Result<(), BuiltError> {
    built.rules(&Variables::stock())?;
    built.code()?;
    built.modules()?;
    Ok(())
}

fn why(file: Vec<u8>, trust: &Trust) -> String {
    let [in_memory, in_file] = opened(&file, trust).map(|built| {
        let read = built.and_then(whole);
        read.expect_err("is wrong").to_string()
    });
    assert_eq!(in_memory, in_file);
    in_memory
}

/// What the function of [`CORE`] gives.
fn four(engine: &Engine, module: &wasmtime::Module) -> i32 {
    let mut store = wasmtime::Store::new(engine, ());
    let instance = wasmtime::Instance::new(&mut store, module, &[]).expect("runs");
    let four = instance
        .get_typed_func::<(), i32>(&mut store, "four")
        .expect("is there");
    four.call(&mut store, ()).expect("ends")
}

#[test]
fn what_goes_in_comes_out() {
    let draft = draft();
    let (code, modules) = (draft.code.clone(), draft.modules.clone());
    let file = draft.finish(&[]).expect("written");
    assert!(is_built(&file));
    for built in opened(&file, &Trust::default()) {
        let built = built.expect("is right");
        assert_eq!(built.code().expect("is whole").as_deref(), code.as_deref());
        let found = built.modules().expect("are whole");
        let component = Cow::Borrowed(modules[0].component.as_slice());
        assert_eq!(found, [("nothing.wasm", component)]);
        let loaded = built.rules(&Variables::stock()).expect("can be read");
        assert_eq!(loaded.counts.evaluated, 2);
        assert_eq!(built.signed(), Signed::default());
        assert!(matches!(built.must_be_signed(), Err(BuiltError::Unsigned)));
    }
}

#[test]
fn signatures_tell_who_built_it() {
    let (ours, other, local) = (key(), key(), key());
    let file = draft().finish(&[&local, &ours]).expect("written");
    let trusts = |trust: &Trust| Built::parse(file.clone(), trust).expect("is right");
    assert_eq!(
        trusts(&trust(&ours)).must_be_signed().expect("is"),
        ours.public()
    );
    assert!(trusts(&trust(&other)).must_be_signed().is_err());
    let here = Trust {
        local: Some(local.public()),
        keys: vec![other.public()],
    };
    let built = trusts(&here);
    assert!(built.signed().trusted() && built.signed().locally);
    assert!(
        built.must_be_signed().is_err(),
        "the local key says not who built it"
    );
}

/// Whatever byte of a signed file is changed, and wherever it ends: nothing of it is taken that was not signed.
#[test]
fn what_was_changed_is_not_taken() {
    let ours = key();
    let file = draft().finish(&[&ours]).expect("written");
    let trust = trust(&ours);
    let takes = |file: &[u8]| {
        let [in_memory, in_file] = opened(file, &trust).map(|built| {
            built.is_ok_and(|built| built.must_be_signed().is_ok() && whole(built).is_ok())
        });
        assert_eq!(in_memory, in_file);
        in_memory
    };
    assert!(takes(&file));
    // In steps, as to look at a signature takes its time in a build for tests.
    for at in (0..file.len()).step_by(11) {
        let mut changed = file.clone();
        changed[at] ^= 1 << (at % 8);
        assert!(!takes(&changed), "byte {at} of {}", file.len());
    }
    for end in (0..file.len()).step_by(7) {
        assert!(!takes(&file[..end]), "{end} bytes of {}", file.len());
    }
    let longer = [file.as_slice(), &[0]].concat();
    assert!(!takes(&longer));
}

#[test]
fn errors_say_what_is_wrong() {
    let ours = key();
    let file = draft().finish(&[&ours]).expect("written");
    let none = Trust::default();
    assert!(why(b"alert tcp any".to_vec(), &none).contains("not a built rule set"));
    assert!(why(file[..file.len() - 1].to_vec(), &none).contains("cut off"));
    assert!(why(file[..40].to_vec(), &none).contains("it ends within its header"));
    let mut version = file.clone();
    version[8] = 200;
    assert!(why(version, &none).contains("format 200, and this is Weir"));
    let mut damaged = file.clone();
    *damaged.last_mut().expect("is long") ^= 1;
    assert!(why(damaged, &none).contains("its module is not what its header says"));
    // Another file under the signature of this one.
    let mut other = draft();
    other.counts.rules = 7;
    let other = other.finish(&[]).expect("written");
    let header =
        |file: &[u8]| 16 + u32::from_le_bytes(file[12..16].try_into().expect("four")) as usize;
    let signatures = header(&file)..file.len();
    let forged = [&other[..header(&other)], &file[signatures]].concat();
    assert!(
        why(forged, &trust(&ours))
            .starts_with("forged or damaged: the signature of the trusted key weir-key:")
    );
}

#[test]
fn native_code_is_run_where_it_is_trusted_and_fits() {
    let engine = Engine::default();
    let ours = key();
    let mut made = draft();
    made.compile_code(&engine).expect("compiles");
    made.compile_modules(&engine).expect("compiles");
    let ready = |draft: &Draft, trust: &Trust| {
        let file = draft.clone().finish(&[&ours]).expect("written");
        let [in_memory, in_file] = opened(&file, trust).map(|built| {
            let built = built.expect("is right");
            let (module, why) = built.module(&engine).expect("is right").expect("is there");
            assert_eq!(four(&engine, &module), 4);
            let (_, of_component) = built.component(&engine, 0).expect("is right");
            assert_eq!(why.is_some(), of_component.is_some());
            assert!(built.component(&engine, 1).is_err());
            why
        });
        assert_eq!(in_memory, in_file);
        in_memory
    };
    let trusted = trust(&ours);
    assert_eq!(ready(&made, &trusted), None);
    let why = ready(&made, &Trust::default()).expect("is compiled again");
    assert!(why.contains("nor a trusted key signed it"), "{why}");
    assert_eq!(ready(&draft(), &trusted).as_deref(), Some("there is none"));
    let elsewhere = |change: fn(&mut Machine)| {
        let mut made = made.clone();
        made.natives
            .iter_mut()
            .for_each(|native| change(&mut native.machine));
        ready(&made, &trusted).expect("is compiled again")
    };
    let why = elsewhere(|machine| machine.features.push("avx9000".to_owned()));
    assert!(why.contains("for a processor with avx9000"), "{why}");
    let why = elsewhere(|machine| machine.target = "vax-vms".to_owned());
    assert!(why.contains("it is for vax-vms"), "{why}");
    let why = elsewhere(|machine| machine.runtime = "wasmtime 1".to_owned());
    assert!(why.contains("made by wasmtime 1"), "{why}");
    // Signed, and said to fit, but no native code: the runtime sees it.
    let mut nonsense = made.clone();
    nonsense
        .natives
        .iter_mut()
        .for_each(|native| native.bytes.truncate(100));
    let why = ready(&nonsense, &trusted).expect("is compiled again");
    assert!(why.contains("the runtime refuses it"), "{why}");
}

/// Native code that is not what was signed is not run, nor is anything made in its place.
#[test]
fn native_code_that_was_changed_is_refused() {
    let engine = Engine::default();
    let ours = key();
    let mut made = draft();
    made.compile_code(&engine).expect("compiles");
    let native = made.natives[0].bytes.len();
    let file = made.finish(&[&ours]).expect("written");
    // It is the last section.
    for back in [1, native / 2, native] {
        let mut changed = file.clone();
        let at = changed.len() - back;
        changed[at] ^= 1;
        for built in opened(&changed, &trust(&ours)) {
            let built = built.expect("its header is right");
            let error = built.module(&engine).expect_err("was changed").to_string();
            assert!(error.contains("its native code is not what"), "{error}");
            // Whoever does not run it has no need of it.
            assert!(whole(built).is_ok());
        }
    }
}

/// A file that is written over or cut off while it is open is found to be.
#[test]
fn a_file_that_changes_under_way_is_refused() {
    let ours = key();
    let engine = Engine::default();
    let mut made = draft();
    made.compile_code(&engine).expect("compiles");
    let bytes = made.finish(&[&ours]).expect("written");
    let there = tempfile::NamedTempFile::new().expect("a file");
    let open = || {
        std::fs::write(there.path(), &bytes).expect("written");
        Built::read(there.path(), &trust(&ours)).expect("is right")
    };
    let built = open();
    assert!(built.module(&engine).is_ok());
    std::fs::write(there.path(), vec![0; bytes.len()]).expect("written");
    assert!(matches!(built.module(&engine), Err(BuiltError::Section(_))));
    assert!(matches!(whole(built), Err(BuiltError::Section(_))));
    let built = open();
    std::fs::write(there.path(), &bytes[..bytes.len() / 2]).expect("written");
    let error = built.module(&engine).expect_err("is cut off").to_string();
    assert!(
        error.contains("it was cut off while it was read"),
        "{error}"
    );
}

/// The runtime that native code is said to be made by is the one that makes it.
#[test]
fn the_runtime_is_named() {
    let manifest = include_str!("../../../../Cargo.toml");
    let here = Machine::of(&Engine::default()).runtime;
    let release = here.strip_prefix("wasmtime ").expect("a name");
    assert!(manifest.contains(&format!("wasmtime = {{ version = \"{release}\"")));
}

#[test]
fn keys_are_kept() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let state = folder.path().join("state/weir");
    assert!(keys::local(&state).expect("none").is_none());
    let made = keys::local_or_new(&state).expect("made").public();
    assert_eq!(keys::local_or_new(&state).expect("found").public(), made);
    assert_eq!(
        keys::local(&state).expect("found").map(|key| key.public()),
        Some(made)
    );
    assert_eq!(std::fs::read_dir(&state).expect("a folder").count(), 1);
    let path = state.join("machine.key");
    let mode = |path: &Path| path.metadata().expect("is there").permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(&state)), (0o600, 0o700));
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).expect("changed");
    let error = keys::local(&state).expect_err("is open").to_string();
    assert!(error.contains("others can read"), "{error}");
    // A key is never written over.
    assert!(key().write(&path).is_err());
    let public = made.to_string();
    assert_eq!(public.parse::<PublicKey>(), Ok(made));
    let secret = format!("weir-secret-key:{}", "7".repeat(64));
    for (text, says) in [
        (secret.as_str(), "this is a secret key"),
        (&public[..public.len() - 1], "expected a public key"),
        (
            "weir-key:0100000000000000000000000000000000000000000000000000000000000000",
            "expected a public key",
        ),
    ] {
        let error = text.parse::<PublicKey>().expect_err(text);
        assert!(error.contains(says), "{text}: {error}");
    }
}

proptest! {
    /// Reading never panics, whatever the bytes, also where the hashes fit.
    #[test]
    fn any_bytes_can_be_read(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        tail in proptest::collection::vec(any::<u8>(), 0..64),
        cut: Option<prop::sample::Index>,
    ) {
        let mut file = draft().finish(&[&key()]).expect("written");
        // The header is where the structure is.
        let header = file.len().min(600);
        for (at, byte) in changes {
            file[at.index(header)] = byte;
        }
        if let Some(cut) = cut {
            file.truncate(cut.index(file.len()));
        }
        file.extend(tail);
        for built in opened(&file, &Trust::default()).into_iter().flatten() {
            let _ = built.rules(&Variables::stock());
            let _ = built.code();
            let _ = built.modules();
        }
    }
}
