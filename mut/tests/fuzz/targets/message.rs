#![no_main]

// One string a line, but for the last, the text; a line break within one of the others is written as `\n` or `\r`.
libfuzzer_sys::fuzz_target!(|input: &str| {
    let unescaped = input.replace("\\r", "\r");
    let mut lines = unescaped.splitn(8, '\n').map(|line| line.replace("\\n", "\n"));
    let strings: [String; 8] = std::array::from_fn(|_| lines.next().unwrap_or_default());
    exosend::fuzzing::message(strings.each_ref().map(String::as_str), unescaped.as_bytes());
});
