#include "Engine.h"

#include "Stages.h"

#include "planish/support/Text.h"

#include <algorithm>
#include <cctype>
#include <optional>

namespace planish::codegen::fpga {

namespace {

/// How a language spells what the stages need. `#` stands for the name or type, `%` for a number.
struct Dialect {
  std::string_view title, prelude;
  std::string_view pipelineBefore, pipelineInside, unrollBefore, unrollInside; // a loop's pragmas
  std::string_view registers, parts, independent; // of an array: `#`, dimension `%`
  std::string_view memory; // before an array on the chip
};

constexpr std::string_view kHlsPrelude = R"C(#include <ap_int.h>
#include <hls_burst_maxi.h>
#include <hls_stream.h>
#include <hls_vector.h>

/* An emulation may run stages as threads, with streams of another depth. */
#ifndef STAGE
#define STAGES_BEGIN
#define STAGE(call) call;
#define STAGES_END
#endif
#ifndef FIFO_DEPTH
#define FIFO_DEPTH 64
#endif

typedef unsigned char code_t;
typedef unsigned long long wide_t;
typedef hls::vector<code_t, SIMD> memory_word;
typedef hls::vector<code_t, BEAT> memory_beat;
@types
#define READ(stream) (stream).read()
#define WRITE(stream, value) (stream).write(value)
#define REQUEST_READ(memory, first, count) (memory).read_request(first, count)
#define REQUEST_WRITE(memory, first, count) (memory).write_request(first, count)
#define WRITTEN(memory) (memory).write_response()
#define EMIT(memory, index, value, strobe) emitted(memory, value, strobe)

static word FETCH(hls::burst_maxi<memory_word> &memory, int) {
#pragma HLS INLINE
  const memory_word from = memory.read();
  word made;
  for (int l = 0; l < SIMD; ++l) {
#pragma HLS UNROLL
    made.b[l] = from[l];
  }
  return made;
}

static beat FETCH_BEAT(hls::burst_maxi<memory_beat> &memory, int) {
#pragma HLS INLINE
  const memory_beat from = memory.read();
  beat made;
  for (int l = 0; l < BEAT; ++l) {
#pragma HLS UNROLL
    made.b[l] = from[l];
  }
  return made;
}

template <class T> static T FETCH(const T *memory, int index) {
#pragma HLS INLINE
  return memory[index];
}

static void emitted(hls::burst_maxi<memory_word> &memory, const word &value, wide_t strobe) {
#pragma HLS INLINE
  memory_word to;
  for (int l = 0; l < SIMD; ++l) {
#pragma HLS UNROLL
    to[l] = value.b[l];
  }
  memory.write(to, (ap_int<SIMD>)strobe);
}

/* Two products that share a factor, in one DSP block (AMD WP486): (w1 * 2^18 + w0) * x. */
static void products(code_t x, signed char w0, signed char w1, int *p0, int *p1) {
#pragma HLS INLINE
  const ap_int<27> both = (ap_int<27>)w1 * (1 << 18) + (ap_int<27>)w0;
  const ap_int<45> product = both * (ap_int<18>)x;
  const ap_int<18> low = product;
  *p0 = (int)low;
  *p1 = (int)((product - low) >> 18);
}
)C";

constexpr std::string_view kChannelPrelude = R"C(#pragma OPENCL EXTENSION cl_intel_channels : enable

#ifndef FIFO_DEPTH
#define FIFO_DEPTH 64
#endif

typedef uchar code_t;
typedef ulong wide_t;
@types
#define READ(stream) read_channel_intel(stream)
#define WRITE(stream, value) write_channel_intel(stream, value)
#define REQUEST_READ(memory, first, count)
#define REQUEST_WRITE(memory, first, count)
#define WRITTEN(memory)
#define FETCH(memory, index) (memory)[index]
#define FETCH_BEAT(memory, index) (memory)[index]
#define EMIT(memory, index, value, strobe) emitted(memory, index, value, strobe)
#ifndef CHANNEL
#define CHANNEL(type, name) channel type name __attribute__((depth(FIFO_DEPTH)))
#endif

static void emitted(__global word *restrict memory, int index, word value, wide_t strobe) {
#pragma unroll
  for (int l = 0; l < SIMD; ++l)
    if ((strobe >> l) & 1) memory[index].b[l] = value.b[l];
}

/* Two products: the tool puts them into one DSP block. */
static void products(code_t x, signed char w0, signed char w1, int *p0, int *p1) {
  *p0 = (int)x * (int)w0;
  *p1 = (int)x * (int)w1;
}
)C";

constexpr Dialect kHls{"HLS C++",
                       kHlsPrelude,
                       "",
                       "#pragma HLS PIPELINE II=1",
                       "",
                       "#pragma HLS UNROLL",
                       "#pragma HLS ARRAY_PARTITION variable=# complete",
                       "#pragma HLS ARRAY_PARTITION variable=# complete dim=%",
                       "#pragma HLS DEPENDENCE variable=# inter false",
                       "static "};

constexpr Dialect kChannels{
    "OpenCL C with channels", kChannelPrelude, "#pragma ii 1", "", "#pragma unroll", "", "", "", "", ""};

std::string replaced(std::string_view text, std::string_view name, std::string_view number) {
  std::string r;
  for (char c : text)
    if (c == '#' && !r.empty()) r += name; // the first one is the pragma's own
    else if (c == '%') r += number;
    else r += c;
  return r;
}

/// "  @parts bank 3" -> the pragma, or nothing where the line is another.
std::optional<std::string> arrayLine(std::string_view line, const Dialect &d) {
  size_t at = line.find_first_not_of(' ');
  if (at == std::string_view::npos || line[at] != '@') return std::nullopt;
  std::string_view rest = line.substr(at + 1);
  std::string_view verb = rest.substr(0, rest.find(' '));
  if (verb == "memory") return std::nullopt;
  std::string_view operands = rest.substr(verb.size() + 1);
  std::string_view name = operands.substr(0, operands.find(' '));
  std::string_view number = name.size() < operands.size() ? operands.substr(name.size() + 1) : "";
  std::string_view pragma = verb == "registers" ? d.registers : verb == "parts" ? d.parts : d.independent;
  return replaced(pragma, name, number);
}

/// A stage's text in the dialect.
std::string spelled(std::string_view text, const Dialect &d) {
  std::string r;
  while (!text.empty()) {
    size_t end = std::min(text.find('\n'), text.size());
    std::string line(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (auto pragma = arrayLine(line, d)) {
      if (!pragma->empty()) r += *pragma + "\n";
      continue;
    }
    std::string indent = line.substr(0, std::min(line.find_first_not_of(' '), line.size()));
    std::string_view inside;
    for (auto &[token, before, in] :
         {std::tuple{std::string_view(" @pipeline"), d.pipelineBefore, d.pipelineInside},
          std::tuple{std::string_view(" @unroll"), d.unrollBefore, d.unrollInside}}) {
      if (!line.ends_with(token)) continue;
      line.resize(line.size() - token.size());
      if (!before.empty()) r += indent + std::string(before) + "\n";
      inside = in;
    }
    if (size_t at = line.find("@memory "); at != std::string::npos) line.replace(at, 8, d.memory);
    r += line + "\n";
    if (!inside.empty()) r += std::string(inside) + "\n";
  }
  return r;
}

std::string constantsText(const Folding &f, const Board &b) {
  std::string r = "enum {\n";
  auto line = [&](std::string_view name, int64_t value, std::string_view about) {
    r += "  " + std::string(name) + " = " + std::to_string(value) + ", /* " + std::string(about) + " */\n";
  };
  line("SIMD", f.simd, "input channels multiplied at a time, bytes of a word of activations");
  line("PE", f.pe, "output channels summed at a time");
  line("LANES", f.lanes, "output channels requantized at a time");
  line("WEIGHT_WORDS", f.weightWords, "words of PE * SIMD weights in each of two banks");
  line("LINE_WORDS", f.lineWords, "words of the line buffer");
  line("CHANNELS", f.channels, "most output channels of a row of the table");
  line("BEAT", b.portBytes, "bytes of weights read at a time");
  line("BEATS", f.pe * f.simd / b.portBytes, "of a word of weights");
  line("COLUMNS", kColumns, "of the table");
  r += "};\n\n/* The columns of the table; a row is one sweep over an input map. */\nenum {\n";
  for (const ColumnText &c : columns()) {
    std::string name = c.name;
    std::ranges::transform(name, name.begin(), [](unsigned char x) { return char(std::toupper(x)); });
    r += "  " + name + "," + (*c.about ? " /* " + std::string(c.about) + " */" : "") + "\n";
  }
  return r + "};\n";
}

constexpr std::string_view kTypes = R"C(
typedef struct { code_t b[SIMD]; } word;
typedef struct { code_t b[BEAT]; } beat;
typedef struct { int s[PE]; } sums;
typedef struct { code_t b[LANES]; } piece;
typedef struct { int bias, limit, multiplier, shift; } scale;
)C";

std::string headOf(const Folding &f, const Board &b, const Dialect &d,
                   const std::vector<std::string> &about) {
  std::string r = "/* Engine for " + std::string(b.target) + " (" + std::string(b.device) + "), " +
                  std::string(d.title) + ", made by Planish.\n";
  for (const std::string &line : about) r += " * " + line + "\n";
  std::string prelude(d.prelude);
  prelude.replace(prelude.find("@types\n"), 7, kTypes);
  return r + " */\n\n" + constantsText(f, b) + "\n" + prelude + spelled(sharedFunctions(), d);
}

/// Words and beats of memory, as the ports of HLS have them.
std::string hlsPort(const Port &p) {
  if (!p.bursts) return "const " + std::string(p.type) + " *" + std::string(p.name);
  return "hls::burst_maxi<memory_" + std::string(p.type) + "> " + std::string(p.name);
}

std::string hlsStream(const Stream &s) {
  return "hls::stream<" + std::string(s.type) + ", FIFO_DEPTH> &" + std::string(s.name);
}

std::string parametersOf(const Stage &s) {
  std::string r;
  for (const Port &p : s.ports) r += hlsPort(p) + ", ";
  r += std::string(s.scalars) + "int count";
  for (const auto *list : {&s.in, &s.out})
    for (const Stream &x : *list) r += ", " + hlsStream(x);
  return r;
}

std::string callOf(const Stage &s) {
  std::string r = std::string(s.name) + "(";
  for (const Port &p : s.ports) r += std::string(p.name) + ", ";
  if (!s.scalars.empty()) r += "first, ";
  r += "count";
  for (const auto *list : {&s.in, &s.out})
    for (const Stream &x : *list) r += ", " + std::string(x.name);
  return r + ")";
}

/// Ports of the whole engine, in the order of the stages.
std::vector<Port> allPorts() {
  std::vector<Port> r;
  for (const Stage &s : stages())
    for (const Port &p : s.ports) r.push_back(p);
  return r;
}

} // namespace

std::string hlsSource(const Folding &f, const Board &b, const std::vector<std::string> &about) {
  std::string r = headOf(f, b, kHls, about);
  for (const Stage &s : stages())
    r += "\n/* " + std::string(s.name) + ": " + std::string(s.about) + ". */\nstatic void " +
         std::string(s.name) + "(" + parametersOf(s) + ") {" + spelled(s.body, kHls) + "}\n";

  std::vector<Port> ports = allPorts();
  std::string parameters = joined(ports, hlsPort) + ", int first, int count";
  r += "\n/* Rows [first, first + count), all of one layer. */\nstatic void layer(" + parameters +
       ") {\n#pragma HLS DATAFLOW\n";
  for (const Stage &s : stages())
    for (const Stream &x : s.out)
      r += "  hls::stream<" + std::string(x.type) + ", FIFO_DEPTH> " + std::string(x.name) + "(\"" +
           std::string(x.name) + "\");\n";
  r += "  STAGES_BEGIN\n";
  for (const Stage &s : stages()) r += "  STAGE(" + callOf(s) + ")\n";
  r += "  STAGES_END\n}\n\n/* Rows [first, first + count) of the table: whole layers, one after the other. "
       "*/\n"
       "extern \"C\" void planish_engine(" +
       parameters + ") {\n";
  for (size_t i = 0; i < ports.size(); ++i)
    r += "#pragma HLS INTERFACE m_axi port=" + std::string(ports[i].name) + " offset=slave bundle=memory" +
         std::to_string(i) + "\n";
  r += "#pragma HLS INTERFACE s_axilite port=return\n"
       "  for (int done = 0; done < count;) {\n"
       "    const int rows = table[(first + done) * COLUMNS + ROWS];\n"
       "    layer(" +
       joined(ports, [](const Port &p) { return std::string(p.name); }) +
       ", first + done, rows);\n    done += rows;\n  }\n}\n";
  return r;
}

std::string channelSource(const Folding &f, const Board &b, const std::vector<std::string> &about) {
  std::string r = headOf(f, b, kChannels, about) + "\n";
  for (const Stage &s : stages())
    for (const Stream &x : s.out) r += "CHANNEL(" + std::string(x.type) + ", " + std::string(x.name) + ");\n";
  for (const Stage &s : stages()) {
    std::string parameters;
    for (const Port &p : s.ports)
      parameters += "__global " + std::string(p.written ? "" : "const ") + std::string(p.type) +
                    " *restrict " + std::string(p.name) + ", ";
    r += "\n/* " + std::string(s.name) + ": " + std::string(s.about) +
         ". */\n__attribute__((max_global_work_dim(0)))\n__kernel void " + std::string(s.name) + "(" +
         parameters + std::string(s.scalars) + "int count) {" + spelled(s.body, kChannels) + "}\n";
  }
  return r;
}

} // namespace planish::codegen::fpga
