//! Another library in Rust, with the standard library and its panics, to stand beside ours in one program.

#[unsafe(no_mangle)]
pub extern "C" fn other() -> i32 {
    std::panic::catch_unwind(|| panic!("on purpose")).is_err() as i32
}
