#![no_main]
libfuzzer_sys::fuzz_target!(|octets: &[u8]| lab_tests::fuzz::bpf(octets));
