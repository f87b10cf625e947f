//! What a file is, in the words of `file(1)` as far as rules use them: the kinds that travel over networks and that
//! rules name. libmagic's own database is not needed for that, nor carried along.

/// Signatures at the start of a file, the longer ones first.
const STARTS: &[(&[u8], &str)] = &[
    (b"%PDF-1.", "PDF document"),
    (b"%PDF-", "PDF document"),
    (b"%!PS-Adobe", "PostScript document text"),
    (b"\x7fELF\x02", "ELF 64-bit LSB executable"),
    (b"\x7fELF\x01", "ELF 32-bit LSB executable"),
    (b"PK\x03\x04", "Zip archive data"),
    (b"PK\x05\x06", "Zip archive data (empty)"),
    (b"Rar!\x1a\x07", "RAR archive data"),
    (b"7z\xbc\xaf\x27\x1c", "7-zip archive data"),
    (b"\x1f\x8b", "gzip compressed data"),
    (b"BZh", "bzip2 compressed data"),
    (b"\xfd7zXZ\0", "XZ compressed data"),
    (b"\x28\xb5\x2f\xfd", "Zstandard compressed data"),
    (b"MSCF\0\0\0\0", "Microsoft Cabinet archive data"),
    (b"GIF87a", "GIF image data, version 87a"),
    (b"GIF89a", "GIF image data, version 89a"),
    (b"\x89PNG\r\n\x1a\n", "PNG image data"),
    (b"\xff\xd8\xff", "JPEG image data"),
    (b"BM", "PC bitmap"),
    (b"\0\0\x01\0", "MS Windows icon resource"),
    (b"FWS", "Macromedia Flash data"),
    (b"CWS", "Macromedia Flash data (compressed)"),
    (b"ZWS", "Macromedia Flash data (lzma compressed)"),
    (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        "Composite Document File V2 Document",
    ),
    (b"{\\rtf", "Rich Text Format data"),
    (b"\xca\xfe\xba\xbe", "compiled Java class data"),
    (b"#!/bin/sh", "POSIX shell script, ASCII text executable"),
    (
        b"#!/bin/bash",
        "Bourne-Again shell script, ASCII text executable",
    ),
    (b"<?php", "PHP script, ASCII text"),
    (b"<?xml", "XML 1.0 document, ASCII text"),
    (b"OggS", "Ogg data"),
    (b"ID3", "Audio file with ID3 version"),
    (b"\0asm", "WebAssembly (wasm) binary module"),
    (b"SQLite format 3\0", "SQLite 3.x database"),
    (b"\xd4\xc3\xb2\xa1", "pcap capture file"),
    (b"ITSF\x03\0\0\0", "MS Windows HtmlHelp Data"),
    (b"dex\n", "Dalvik dex file"),
    (b"wOFF", "Web Open Font Format"),
    (b"wOF2", "Web Open Font Format (Version 2)"),
    (b"\xfe\xed\xfa\xce", "Mach-O executable"),
    (b"\xcf\xfa\xed\xfe", "Mach-O 64-bit executable"),
];

/// Describes a file by its first bytes.
pub fn describe(data: &[u8]) -> &'static str {
    if data.is_empty() {
        return "empty";
    }
    if let Some(kind) = executable(data) {
        return kind;
    }
    if data.get(257..262) == Some(b"ustar") {
        return "POSIX tar archive";
    }
    if data.starts_with(b"RIFF") {
        return match data.get(8..12) {
            Some(b"WAVE") => "RIFF (little-endian) data, WAVE audio",
            Some(b"AVI ") => "RIFF (little-endian) data, AVI",
            Some(b"WEBP") => "RIFF (little-endian) data, Web/P image",
            _ => "RIFF (little-endian) data",
        };
    }
    if data.get(4..8) == Some(b"ftyp") {
        return "ISO Media";
    }
    let known = STARTS.iter().find(|(start, _)| data.starts_with(start));
    known.map_or_else(|| text(data), |&(_, kind)| kind)
}

/// DOS and Windows executables.
fn executable(data: &[u8]) -> Option<&'static str> {
    if !data.starts_with(b"MZ") {
        return None;
    }
    let word = |at: usize| Some(u16::from_le_bytes(*data.get(at..)?.first_chunk()?));
    let at = data.get(0x3c..).and_then(|rest| rest.first_chunk());
    let at = at.map_or(0, |bytes| u32::from_le_bytes(*bytes)) as usize;
    let header = at
        .checked_add(4)
        .filter(|&end| data.get(at..end) == Some(b"PE\0\0"));
    let Some(coff) = header else {
        return Some("MS-DOS executable");
    };
    const DLL: u16 = 0x2000;
    let library = word(coff + 18).is_some_and(|flags| flags & DLL != 0);
    let wide = word(coff + 20) == Some(0x20b);
    let console = word(coff + 20 + 68) == Some(3);
    Some(match (wide, library, console) {
        (false, false, false) => "PE32 executable (GUI) Intel 80386, for MS Windows",
        (false, false, true) => "PE32 executable (console) Intel 80386, for MS Windows",
        (false, true, false) => "PE32 executable (DLL) (GUI) Intel 80386, for MS Windows",
        (false, true, true) => "PE32 executable (DLL) (console) Intel 80386, for MS Windows",
        (true, false, false) => "PE32+ executable (GUI) x86-64, for MS Windows",
        (true, false, true) => "PE32+ executable (console) x86-64, for MS Windows",
        (true, true, false) => "PE32+ executable (DLL) (GUI) x86-64, for MS Windows",
        (true, true, true) => "PE32+ executable (DLL) (console) x86-64, for MS Windows",
    })
}

/// Text, or data.
fn text(data: &[u8]) -> &'static str {
    /// As much as libmagic looks at for HTML.
    const LOOK: usize = 4096;
    let data = data.get(..LOOK).unwrap_or(data);
    let start = data
        .iter()
        .position(|byte| !byte.is_ascii_whitespace())
        .unwrap_or(0);
    let start = data.get(start..).unwrap_or_default();
    let begins = |with: &str| {
        let head = start.get(..with.len());
        head.is_some_and(|head| head.eq_ignore_ascii_case(with.as_bytes()))
    };
    let printable = |byte: &u8| {
        (*byte >= 0x20 || matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c | 0x1b | 8 | 7))
            && *byte != 0x7f
    };
    let ascii = data.is_ascii() && data.iter().all(printable);
    if ["<!doctype html", "<html", "<head", "<title", "<body"]
        .iter()
        .any(|with| begins(with))
    {
        return if ascii {
            "HTML document, ASCII text"
        } else {
            "HTML document"
        };
    }
    if ascii {
        let crlf = data.windows(2).any(|pair| pair == b"\r\n");
        return if crlf {
            "ASCII text, with CRLF line terminators"
        } else {
            "ASCII text"
        };
    }
    // What is cut in the middle of a character is text even so.
    let valid = match std::str::from_utf8(data) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    };
    match valid && data.iter().all(printable) {
        true => "UTF-8 Unicode text",
        false => "data",
    }
}

#[cfg(test)]
mod tests {
    use super::describe;

    #[test]
    fn files_are_told_apart() {
        assert_eq!(describe(b"%PDF-1.7\n"), "PDF document");
        assert_eq!(describe(b"hello\n"), "ASCII text");
        assert_eq!(
            describe(b"hello\r\n"),
            "ASCII text, with CRLF line terminators"
        );
        assert_eq!(describe(b"  <HTML><body>"), "HTML document, ASCII text");
        assert_eq!(describe("gr\u{fc}n".as_bytes()), "UTF-8 Unicode text");
        assert_eq!(describe(b"\0\x01\x02"), "data");
        assert_eq!(describe(b"MZ\x90\0"), "MS-DOS executable");
        let mut program = vec![0; 0x200];
        program[..2].copy_from_slice(b"MZ");
        program[0x3c] = 0x80;
        program[0x80..0x84].copy_from_slice(b"PE\0\0");
        program[0x84 + 20..][..2].copy_from_slice(&0x10b_u16.to_le_bytes());
        program[0x84 + 20 + 68] = 2;
        assert_eq!(
            describe(&program),
            "PE32 executable (GUI) Intel 80386, for MS Windows"
        );
    }
}
