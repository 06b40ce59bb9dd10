#include "planish/support/Hash.h"
#include "planish/support/Result.h"

#include <llvm/ADT/ArrayRef.h>
#include <llvm/ADT/StringExtras.h>
#include <llvm/Support/SHA256.h>
#include <llvm/Support/xxhash.h>

namespace planish {

int exitCode(ErrorKind kind) {
  switch (kind) {
  case ErrorKind::Failed: return 1;
  case ErrorKind::Usage: return 2;
  case ErrorKind::Unsupported: return 3;
  case ErrorKind::BadInput: return 4;
  case ErrorKind::Mismatch: return 5;
  }
  return 70;
}

static llvm::ArrayRef<uint8_t> view(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size()};
}

uint64_t hash64(std::span<const std::byte> bytes) { return llvm::xxh3_64bits(view(bytes)); }

std::string hexOf(uint64_t value) {
  std::string r(16, '0');
  for (int i = 15; i >= 0; --i, value >>= 4) r[size_t(i)] = "0123456789abcdef"[value & 15];
  return r;
}

std::string sha256(std::span<const std::byte> bytes) {
  auto digest = llvm::SHA256::hash(view(bytes));
  return llvm::toHex(digest, /*LowerCase=*/true);
}

} // namespace planish
