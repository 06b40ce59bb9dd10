// .npy and .npz, after NumPy's format description (numpy.lib.format).
#include "Array.h"

#include "planish/support/Text.h"

#include <zip.h>

#include <array>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>

namespace planish::run {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";

struct Descriptor {
  std::string_view text;
  int32_t dtype;
};
constexpr std::array<Descriptor, 12> kDescriptors = {{{"<f4", PLANISH_F32},
                                                      {"|u1", PLANISH_U8},
                                                      {"|i1", PLANISH_I8},
                                                      {"<u2", PLANISH_U16},
                                                      {"<i2", PLANISH_I16},
                                                      {"<i4", PLANISH_I32},
                                                      {"<i8", PLANISH_I64},
                                                      {"|b1", PLANISH_BOOL},
                                                      {"<f2", PLANISH_F16},
                                                      {"<f8", PLANISH_F64},
                                                      {"<u4", PLANISH_U32},
                                                      {"<u8", PLANISH_U64}}};

/// The text after 'key': in the header, which is a Python dict on one line.
std::optional<std::string_view> field(std::string_view header, std::string_view key) {
  const std::string quotedKey = "'" + std::string(key) + "':";
  const size_t at = header.find(quotedKey);
  if (at == std::string_view::npos) return std::nullopt;
  std::string_view rest = header.substr(at + quotedKey.size());
  rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
  return rest;
}

/// "(2, 3)", "(2,)" or "()".
std::optional<std::vector<int64_t>> parseShape(std::string_view text) {
  std::vector<int64_t> shape;
  if (text.empty() || text[0] != '(') return std::nullopt;
  std::optional<int64_t> number;
  for (const char c : text.substr(1)) {
    if (c >= '0' && c <= '9') {
      if (number.value_or(0) > INT64_MAX / 100) return std::nullopt;
      number = number.value_or(0) * 10 + (c - '0');
    } else if (c == ',' || c == ')') {
      if (number) shape.push_back(*number);
      number.reset();
      if (c == ')') return shape;
    } else if (c != ' ') {
      return std::nullopt;
    }
  }
  return std::nullopt;
}

/// Bytes of a dense tensor, or nothing when that overflows.
std::optional<uint64_t> byteCount(const std::vector<int64_t> &shape, int32_t dtype) {
  uint64_t n = planish_dtype_bytes(dtype);
  for (const int64_t d : shape)
    if (__builtin_mul_overflow(n, static_cast<uint64_t>(d), &n)) return std::nullopt;
  return n;
}

/// Column-major order into row-major order.
Array transposed(Array array) {
  const size_t size = planish_dtype_bytes(array.dtype), rank = array.shape.size();
  std::vector<std::byte> out(array.bytes.size());
  std::vector<int64_t> index(rank, 0);
  for (size_t to = 0; to < out.size(); to += size) {
    size_t from = 0;
    for (size_t d = rank; d-- > 0;)
      from = from * static_cast<size_t>(array.shape[d]) + static_cast<size_t>(index[d]);
    std::memcpy(out.data() + to, array.bytes.data() + from * size, size);
    for (size_t d = rank; d-- > 0 && ++index[d] == array.shape[d];) index[d] = 0;
  }
  array.bytes = std::move(out);
  return array;
}

struct CloseZip {
  void operator()(zip_t *zip) const { zip_discard(zip); }
};
using Zip = std::unique_ptr<zip_t, CloseZip>;

Result<Zip> openZip(const std::string &path, int flags) {
  int code = 0;
  Zip zip(zip_open(path.c_str(), flags, &code));
  if (zip) return zip;
  zip_error_t error;
  zip_error_init_with_code(&error, code);
  Diagnostic problem = badInput("cannot open '" + path + "': " + zip_error_strerror(&error));
  zip_error_fini(&error);
  return problem;
}

Result<std::vector<std::byte>> readEntry(zip_t *zip, zip_uint64_t index, uint64_t size,
                                         const std::string &where) {
  constexpr uint64_t kMaxBytes = uint64_t{4} << 30, kStep = uint64_t{1} << 22;
  if (size > kMaxBytes) return badInput(where + " is larger than 4 GiB");
  const std::unique_ptr<zip_file_t, int (*)(zip_file_t *)> file(zip_fopen_index(zip, index, 0), zip_fclose);
  if (!file) return badInput("cannot read " + where + ": " + zip_strerror(zip));
  // The size is only a claim: memory grows with what is really there.
  std::vector<std::byte> bytes;
  while (bytes.size() < size) {
    const size_t have = bytes.size();
    bytes.resize(std::min(size, have + kStep));
    const zip_int64_t got = zip_fread(file.get(), bytes.data() + have, bytes.size() - have);
    if (got <= 0) return badInput(where + " is cut off or damaged");
    bytes.resize(have + static_cast<size_t>(got));
  }
  return bytes;
}

} // namespace

Result<Array> parseNpy(std::span<const std::byte> file, const std::string &where) {
  const std::string_view text(reinterpret_cast<const char *>(file.data()), file.size());
  if (text.size() < 10 || text.substr(0, kMagic.size()) != kMagic)
    return badInput(where + " is not a NumPy array");
  const auto byte = [&](size_t i) { return static_cast<size_t>(static_cast<unsigned char>(text[i])); };
  const size_t begin = byte(6) == 1 ? 10 : 12;
  if (text.size() < begin) return badInput(where + " is cut off");
  size_t length = byte(8) | byte(9) << 8;
  if (begin == 12) length |= byte(10) << 16 | byte(11) << 24;
  if (length > text.size() - begin) return badInput(where + " is cut off");
  const std::string_view header = text.substr(begin, length);
  const auto descr = field(header, "descr"), order = field(header, "fortran_order"),
             dims = field(header, "shape");
  const auto shape = dims ? parseShape(*dims) : std::nullopt;
  if (!descr || descr->size() < 5 || !order || !shape) return badInput(where + " has a damaged NumPy header");

  Array array;
  array.shape = *shape;
  array.dtype = 0;
  const std::string_view type = descr->substr(1, 3);
  for (const Descriptor &d : kDescriptors)
    if (d.text == type) array.dtype = d.dtype;
  if (!array.dtype)
    return badInput(where + " has element type '" + std::string(type) +
                    "'; numbers and bool in little-endian order are read");
  const auto bytes = byteCount(array.shape, array.dtype);
  const std::span<const std::byte> data = file.subspan(begin + length);
  if (!bytes || *bytes != data.size())
    return badInput(where + ": shape " + shapeText(array.shape) + " of " + dtypeName(array.dtype) +
                    " does not fit its " + std::to_string(data.size()) + " bytes of data");
  array.bytes.assign(data.begin(), data.end());
  return order->starts_with("True") ? transposed(std::move(array)) : std::move(array);
}

std::string formatNpy(const Array &array) {
  std::string_view type = "|V2"; // what NumPy itself writes for bf16
  for (const Descriptor &d : kDescriptors)
    if (d.dtype == array.dtype) type = d.text;
  std::string shape;
  for (const int64_t d : array.shape) shape += std::to_string(d) + ", ";
  if (array.shape.size() > 1) shape.resize(shape.size() - 2);
  std::string header =
      "{'descr': '" + std::string(type) + "', 'fortran_order': False, 'shape': (" + shape + "), }";
  header.append(63 - (header.size() + 10) % 64, ' '); // the data begins at a multiple of 64
  header += '\n';
  std::string file(kMagic);
  file += '\1';
  file += '\0';
  file += static_cast<char>(header.size() & 255);
  file += static_cast<char>(header.size() >> 8);
  file += header;
  file.append(reinterpret_cast<const char *>(array.bytes.data()), array.bytes.size());
  return file;
}

Result<NamedArrays> readNpz(const std::string &path) {
  PLANISH_ASSIGN(Zip zip, openZip(path, ZIP_RDONLY));
  NamedArrays arrays;
  const zip_int64_t entries = zip_get_num_entries(zip.get(), 0);
  for (zip_int64_t i = 0; i < entries; ++i) {
    zip_stat_t stat;
    const auto index = static_cast<zip_uint64_t>(i);
    if (zip_stat_index(zip.get(), index, 0, &stat) != 0 || !(stat.valid & ZIP_STAT_NAME) ||
        !(stat.valid & ZIP_STAT_SIZE))
      return badInput("'" + path + "' is damaged");
    std::string name = stat.name;
    const std::string where = "'" + path + "': array '" + name + "'";
    PLANISH_ASSIGN(const std::vector<std::byte> bytes, readEntry(zip.get(), index, stat.size, where));
    if (name.ends_with(".npy")) name.resize(name.size() - 4);
    PLANISH_ASSIGN(Array array, parseNpy(bytes, where));
    arrays.emplace_back(std::move(name), std::move(array));
  }
  return arrays;
}

Status writeNpz(const std::string &path, const NamedArrays &arrays) {
  const auto problem = [&](const std::string &why) { return failed("cannot write '" + path + "': " + why); };
  auto opened = openZip(path, ZIP_CREATE | ZIP_TRUNCATE);
  if (!opened) return failed(opened.error().text);
  Zip zip = *std::move(opened);
  std::vector<std::string> files; // libzip reads them when the archive is closed
  files.reserve(arrays.size());
  for (const auto &[name, array] : arrays) {
    files.push_back(formatNpy(array));
    zip_source_t *source = zip_source_buffer(zip.get(), files.back().data(), files.back().size(), 0);
    if (!source) return problem(zip_strerror(zip.get()));
    const zip_int64_t index = zip_file_add(zip.get(), (name + ".npy").c_str(), source, ZIP_FL_ENC_UTF_8);
    if (index < 0) {
      zip_source_free(source);
      return problem(zip_strerror(zip.get()));
    }
    zip_set_file_compression(zip.get(), static_cast<zip_uint64_t>(index), ZIP_CM_STORE, 0);
    zip_file_set_mtime(zip.get(), static_cast<zip_uint64_t>(index), 315532800,
                       0); // equal arrays, equal files
  }
  if (zip_close(zip.get()) != 0) return problem(zip_strerror(zip.get()));
  [[maybe_unused]] zip_t *closed = zip.release();
  return {};
}

} // namespace planish::run
