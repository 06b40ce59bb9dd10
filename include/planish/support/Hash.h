// Content hashes: identity of constants and kernels, and the hashes written to manifests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace planish {

/// A 64-bit hash, the same on every machine.
uint64_t hash64(std::span<const std::byte> bytes);
inline uint64_t hash64(std::string_view text) { return hash64(std::as_bytes(std::span(text))); }

/// Sixteen lower-case hexadecimal digits.
std::string hexOf(uint64_t value);

/// SHA-256, in lower-case hexadecimal.
std::string sha256(std::span<const std::byte> bytes);

} // namespace planish
