"""Makes this folder a package, which is found before a package `tests` that a dependency installs."""
