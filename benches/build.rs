//! Finds libhs for the `peers` feature.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "peers")]
    if let Err(error) = pkg_config::Config::new()
        .atleast_version("5.0")
        .probe("libhs")
    {
        println!(
            "cargo::error=the feature `peers` needs libhs: install libhyperscan-dev or libvectorscan-dev, \
             or build without the feature"
        );
        println!("cargo::warning={}", error.to_string().replace('\n', " "));
    }
}
