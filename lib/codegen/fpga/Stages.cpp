#include "Stages.h"

#include <initializer_list>
#include <string>
#include <utility>

namespace planish::codegen::fpga {

namespace {

constexpr std::string_view kShared = R"C(
/* The requantization rule: RNE(pre24(clamp(sum, +-limit)) * multiplier / 2^shift). */
static int rescaled(int sum, int limit, int multiplier, int shift) {
  const int held = sum > limit ? limit : sum < -limit ? -limit : sum;
  const unsigned magnitude = held < 0 ? 0u - (unsigned)held : (unsigned)held;
  int drop = 0;
  for (int b = 24; b < 32; ++b) { @unroll
    if (magnitude >> b) drop = b - 23;
  }
  unsigned kept = magnitude >> drop;
  const unsigned lost = magnitude - (kept << drop), half = (1u << drop) >> 1;
  if (drop > 0 && (lost > half || (lost == half && (kept & 1u)))) ++kept;
  const wide_t product = (wide_t)kept * (wide_t)multiplier;
  const int places = shift - drop;
  wide_t quotient = product >> places;
  const wide_t rest = product - (quotient << places), middle = (wide_t)1 << (places - 1);
  if (rest > middle || (rest == middle && (quotient & 1))) ++quotient;
  return held < 0 ? -(int)quotient : (int)quotient;
}

static int clamped(int x, int least, int most) { return x < least ? least : x > most ? most : x; }

/* A sum that wraps. */
static int plus(int a, int b) { return (int)((unsigned)a + (unsigned)b); }
)C";

constexpr std::string_view kDispatch = R"C(
  for (int i = 0; i < count * COLUMNS; ++i) { @pipeline
    const int value = FETCH(table, first * COLUMNS + i);
    WRITE(load_rows, value);
    WRITE(window_rows, value);
    WRITE(multiply_rows, value);
    WRITE(scale_rows, value);
    WRITE(other_rows, value);
    WRITE(requantize_rows, value);
    WRITE(store_rows, value);
  }
)C";

/// Reads a map, row by row, from bytes of any alignment; words in angle brackets differ between the maps.
constexpr std::string_view kReader = R"C(
  for (int n = 0; n < count; ++n) {
    int r[COLUMNS];
    @registers r
    for (int f = 0; f < COLUMNS; ++f) { @pipeline
      r[f] = READ(<rows>);
    }
    for (int y = 0; y < <height>; ++y) {
      int pixel = <base> + y * <row>, c = 0, done = 0;
      const int total = <words of a row>;
      const int last = (pixel + (<width> - 1) * <pixel> + <channels> - 1) / SIMD;
      int next = pixel / SIMD; /* the aligned word to read next; `high` is the one before, `low` before that */
      word low, high, made;
      REQUEST_READ(<memory>, next, last - next + 1);
      while (done < total) { @pipeline
        const int left = <channels> - c, bytes = left < SIMD ? left : SIMD;
        const int from = pixel + c, end = (from + bytes - 1) / SIMD;
        if (next <= end) {
          low = high;
          high = FETCH(<memory>, next);
          ++next;
        }
        if (next > end) {
          for (int l = 0; l < SIMD; ++l) { @unroll
            const int at = from % SIMD + l;
            const int isHigh = from / SIMD + (at >= SIMD) == next - 1;
            made.b[l] = l >= bytes ? 0 : isHigh ? high.b[at % SIMD] : low.b[at % SIMD];
          }
          WRITE(<stream>, made);
          ++done;
          c += SIMD;
          if (c >= <channels>) {
            c = 0;
            pixel += <pixel>;
          }
        }
      }
    }
  }
)C";

std::string reader(std::initializer_list<std::pair<std::string_view, std::string_view>> words) {
  std::string r(kReader);
  for (const auto &[name, meant] : words)
    for (size_t at = r.find(name); at != std::string::npos; at = r.find(name, at + meant.size()))
      r.replace(at, name.size(), meant);
  return r;
}
const std::string kLoad = reader({{"<rows>", "load_rows"},
                                  {"<height>", "r[HEIGHT]"},
                                  {"<words of a row>", "r[WIDTH] * r[WORDS]"},
                                  {"<width>", "r[WIDTH]"},
                                  {"<base>", "r[IN_BASE]"},
                                  {"<row>", "r[IN_ROW]"},
                                  {"<pixel>", "r[IN_PIXEL]"},
                                  {"<channels>", "r[CHANNELS_IN]"},
                                  {"<memory>", "activations"},
                                  {"<stream>", "loaded"}});
const std::string kOther = reader({{"<rows>", "other_rows"},
                                   {"<height>", "((r[FLAGS] & 4) ? r[OUT_H] : 0)"},
                                   {"<words of a row>", "r[OUT_W] * ((r[OUT_CHANNELS] + SIMD - 1) / SIMD)"},
                                   {"<width>", "r[OUT_W]"},
                                   {"<base>", "r[OTHER_BASE]"},
                                   {"<row>", "r[OTHER_ROW]"},
                                   {"<pixel>", "r[OTHER_PIXEL]"},
                                   {"<channels>", "r[OUT_CHANNELS]"},
                                   {"<memory>", "residual"},
                                   {"<stream>", "others"}});

constexpr std::string_view kWindow = R"C(
  @memory word lines[LINE_WORDS]; /* a ring of LINE_ROWS rows */
  @independent lines
  for (int n = 0; n < count; ++n) {
    int r[COLUMNS];
    @registers r
    for (int f = 0; f < COLUMNS; ++f) { @pipeline
      r[f] = READ(window_rows);
    }
    const int rowWords = r[WIDTH] * r[WORDS], total = r[HEIGHT] * rowWords, capacity = r[LINE_ROWS] * rowWords;
    int filled = 0, slot = 0;
    for (int oy = 0; oy < r[OUT_H]; ++oy) {
      const int top = oy * r[STRIDE_H] - r[PAD_H], oldest = top > 0 ? top : 0;
      const int bottom = top + (r[KERNEL_H] - 1) * r[DILATION_H] + 1;
      const int needed = (bottom > r[HEIGHT] ? r[HEIGHT] : bottom > 0 ? bottom : 0) * rowWords;
      const int room = oldest * rowWords + capacity, ahead = room < total ? room : total;
      const int ringBegin = oldest - oldest % r[LINE_ROWS];
      const int steps = r[OUT_W] * r[BLOCKS] * r[KERNEL_H] * r[KERNEL_W] * r[BLOCK_WORDS];
      int ox = 0, ob = 0, kh = 0, kw = 0, c = 0;
      for (; filled < needed; ++filled) { @pipeline
        lines[slot] = READ(loaded);
        slot = slot + 1 == capacity ? 0 : slot + 1;
      }
      for (int i = 0; i < steps; ++i) { @pipeline
        const int y = top + kh * r[DILATION_H], x = ox * r[STRIDE_W] - r[PAD_W] + kw * r[DILATION_W];
        const int inRing = y - ringBegin, line = inRing >= r[LINE_ROWS] ? inRing - r[LINE_ROWS] : inRing;
        word tap;
        if (y >= 0 && y < r[HEIGHT] && x >= 0 && x < r[WIDTH]) {
          tap = lines[line * rowWords + x * r[WORDS] + ob * r[BLOCK_STEP] + c];
        } else {
          for (int l = 0; l < SIMD; ++l) { @unroll
            tap.b[l] = (code_t)r[PAD_VALUE];
          }
        }
        WRITE(taps, tap);
        if (filled < ahead) { /* the next rows come meanwhile */
          lines[slot] = READ(loaded);
          slot = slot + 1 == capacity ? 0 : slot + 1;
          ++filled;
        }
        if (++c == r[BLOCK_WORDS]) {
          c = 0;
          if (++kw == r[KERNEL_W]) {
            kw = 0;
            if (++kh == r[KERNEL_H]) {
              kh = 0;
              if (++ob == r[BLOCKS]) {
                ob = 0;
                ++ox;
              }
            }
          }
        }
      }
    }
    for (; filled < total; ++filled) { @pipeline
      lines[slot] = READ(loaded); /* rows below the last window */
    }
  }
)C";

/// Reads the table itself: it runs ahead of the other stages by up to a row.
constexpr std::string_view kWeights = R"C(
  for (int n = 0; n < count; ++n) {
    const int row = (first + n) * COLUMNS;
    const int begin = FETCH(plan, row + WEIGHTS_BASE) * BEATS, beats = FETCH(plan, row + WEIGHTS_WORDS) * BEATS;
    if (beats > 0) REQUEST_READ(weights, begin, beats);
    for (int i = 0; i < beats; ++i) { @pipeline
      WRITE(weight_beats, FETCH_BEAT(weights, begin + i));
    }
  }
)C";

constexpr std::string_view kMultiply = R"C(
  @memory beat bank[2][WEIGHT_WORDS][BEATS]; /* one is read while the other is filled for the next row */
  @parts bank 3
  @independent bank
  int side = 0, loading = 0, loadingBeat = 0;
  for (int n = 0; n < count; ++n) {
    int r[COLUMNS], k = 0, at = 0;
    int acc[PE];
    @registers r
    @registers acc
    for (int f = 0; f < COLUMNS; ++f) { @pipeline
      r[f] = READ(multiply_rows);
    }
    for (int i = 0; i < (n == 0 ? r[WEIGHTS_WORDS] * BEATS : 0); ++i) { @pipeline
      bank[side][loading][loadingBeat] = READ(weight_beats);
      if (++loadingBeat == BEATS) {
        loadingBeat = 0;
        ++loading;
      }
    }
    int pending = r[NEXT_WORDS] * BEATS;
    loading = 0;
    loadingBeat = 0;
    const int steps = r[KERNEL_H] * r[KERNEL_W] * r[BLOCK_WORDS], perPixel = r[BLOCKS] * steps;
    const int total = r[OUT_H] * r[OUT_W] * perPixel;
    for (int i = 0; i < total; ++i) { @pipeline
      const word x = READ(taps);
      if (pending > 0) {
        bank[1 - side][loading][loadingBeat] = READ(weight_beats);
        --pending;
        if (++loadingBeat == BEATS) {
          loadingBeat = 0;
          ++loading;
        }
      }
      for (int p = 0; p < PE; p += 2) { @unroll
        int even = 0, odd = 0;
        for (int s = 0; s < SIMD; ++s) { @unroll
          const int from = p * SIMD + s, to = from + SIMD;
          int a, b;
          products(x.b[s], (signed char)bank[side][at][from / BEAT].b[from % BEAT],
                   (signed char)bank[side][at][to / BEAT].b[to % BEAT], &a, &b);
          even += a;
          odd += b;
        }
        if (r[OP] == 0) {
          acc[p] = k == 0 ? even : plus(acc[p], even);
          acc[p + 1] = k == 0 ? odd : plus(acc[p + 1], odd);
        }
      }
      if (r[OP] != 0) {
        for (int p = 0; p < SIMD; ++p) { @unroll
          const int old = k == 0 ? 0 : acc[p], own = x.b[p];
          acc[p] = r[OP] == 2 ? old + own : own > old ? own : old;
        }
      }
      if (r[OP] == 0 && ++at == perPixel) at = 0;
      if (++k == steps) {
        sums made;
        for (int p = 0; p < PE; ++p) { @unroll
          made.s[p] = acc[p];
        }
        WRITE(summed, made);
        k = 0;
      }
    }
    for (; pending > 0; --pending) { @pipeline
      bank[1 - side][loading][loadingBeat] = READ(weight_beats);
      if (++loadingBeat == BEATS) {
        loadingBeat = 0;
        ++loading;
      }
    }
    side = 1 - side;
  }
)C";

constexpr std::string_view kScales = R"C(
  for (int n = 0; n < count; ++n) {
    int r[COLUMNS];
    @registers r
    for (int f = 0; f < COLUMNS; ++f) { @pipeline
      r[f] = READ(scale_rows);
    }
    for (int i = 0; i < ((r[FLAGS] & 1) ? r[OUT_CHANNELS] : 0); ++i) { @pipeline
      WRITE(scaled, FETCH(scales, r[SCALES_BASE] + i));
    }
    for (int i = 0; i < ((r[FLAGS] & 2) ? 64 : 0); ++i) { @pipeline
      WRITE(scaled, FETCH(scales, r[TABLE_BASE] + i));
    }
    if (r[FLAGS] & 4) WRITE(scaled, FETCH(scales, r[OTHER_SCALE]));
    for (int i = 0; i < ((r[FLAGS] & 8) ? 64 : 0); ++i) { @pipeline
      WRITE(scaled, FETCH(scales, r[OTHER_TABLE] + i));
    }
  }
)C";

constexpr std::string_view kRequantize = R"C(
  @memory scale own[CHANNELS / LANES][LANES];
  @memory code_t table[LANES][256]; /* a copy for each lane */
  @memory code_t otherTable[LANES][256];
  @parts own 2
  @parts table 1
  @parts otherTable 1
  for (int n = 0; n < count; ++n) {
    int r[COLUMNS];
    @registers r
    for (int f = 0; f < COLUMNS; ++f) { @pipeline
      r[f] = READ(requantize_rows);
    }
    for (int i = 0; i < ((r[FLAGS] & 1) ? r[OUT_CHANNELS] : 0); ++i) { @pipeline
      own[i / LANES][i % LANES] = READ(scaled);
    }
    for (int i = 0; i < ((r[FLAGS] & 2) ? 64 : 0); ++i) { @pipeline
      const scale e = READ(scaled);
      for (int l = 0; l < LANES; ++l) { @unroll
        table[l][4 * i] = (code_t)e.bias;
        table[l][4 * i + 1] = (code_t)e.limit;
        table[l][4 * i + 2] = (code_t)e.multiplier;
        table[l][4 * i + 3] = (code_t)e.shift;
      }
    }
    scale other;
    other.bias = 0;
    other.limit = 0;
    other.multiplier = 0;
    other.shift = 1;
    if (r[FLAGS] & 4) other = READ(scaled);
    for (int i = 0; i < ((r[FLAGS] & 8) ? 64 : 0); ++i) { @pipeline
      const scale e = READ(scaled);
      for (int l = 0; l < LANES; ++l) { @unroll
        otherTable[l][4 * i] = (code_t)e.bias;
        otherTable[l][4 * i + 1] = (code_t)e.limit;
        otherTable[l][4 * i + 2] = (code_t)e.multiplier;
        otherTable[l][4 * i + 3] = (code_t)e.shift;
      }
    }
    const int pieces = (r[OUT_CHANNELS] + LANES - 1) / LANES, total = r[OUT_H] * r[OUT_W] * pieces;
    const int parts = r[BLOCK] / LANES;
    int done = 0, part = 0;
    sums v;
    word o;
    for (int i = 0; i < total; ++i) { @pipeline
      piece q;
      if (part == 0) v = READ(summed);
      if ((r[FLAGS] & 4) && (part * LANES) % SIMD == 0) o = READ(others);
      for (int l = 0; l < LANES; ++l) { @unroll
        const scale e = own[done][l];
        const int sum = v.s[part * LANES + l];
        int code = sum;
        if (r[FLAGS] & 1)
          code = clamped(rescaled(plus(sum, e.bias), e.limit, e.multiplier, e.shift) + r[ZERO], r[LEAST], r[MOST]);
        if (r[FLAGS] & 2) code = table[l][code & 255];
        if (r[FLAGS] & 4) {
          const int a = (int)((unsigned)code * (unsigned)r[OWN_FACTOR]);
          const int b = (int)((unsigned)o.b[(part * LANES) % SIMD + l] * (unsigned)r[OTHER_FACTOR]);
          code = clamped(rescaled(plus(plus(a, b), other.bias), other.limit, other.multiplier, other.shift) +
                             r[OTHER_ZERO],
                         r[OTHER_LEAST], r[OTHER_MOST]);
        }
        if (r[FLAGS] & 8) code = otherTable[l][code & 255];
        q.b[l] = (code_t)code;
      }
      WRITE(pieces_made, q);
      if (++part == parts) part = 0;
      if (++done == pieces) {
        done = 0;
        part = 0;
      }
    }
  }
)C";

constexpr std::string_view kStore = R"C(
  for (int n = 0; n < count; ++n) {
    int r[COLUMNS];
    @registers r
    for (int f = 0; f < COLUMNS; ++f) { @pipeline
      r[f] = READ(store_rows);
    }
    const int total = r[OUT_W] * ((r[OUT_CHANNELS] + LANES - 1) / LANES);
    for (int y = 0; y < r[OUT_H]; ++y) {
      int pixel = r[OUT_BASE] + y * r[OUT_ROW], c = 0, done = 0, held = 0;
      const int last = (pixel + (r[OUT_W] - 1) * r[OUT_PIXEL] + r[OUT_CHANNELS] - 1) / SIMD;
      int index = pixel / SIMD; /* the aligned word that is being put together, `carry` is the one behind it */
      wide_t strobe = 0, carryStrobe = 0; /* which of their bytes are written */
      word data, carry;
      piece q;
      REQUEST_WRITE(results, index, last - index + 1);
      while (done < total) { @pipeline
        const int left = r[OUT_CHANNELS] - c, bytes = left < LANES ? left : LANES, at = pixel + c;
        if (!held) q = READ(pieces_made);
        held = 1;
        if (index < at / SIMD) {
          EMIT(results, index, data, strobe);
          data = carry;
          strobe = carryStrobe;
          carryStrobe = 0;
          ++index;
        }
        if (index == at / SIMD) {
          for (int l = 0; l < LANES; ++l) { @unroll
            const int b = at % SIMD + l;
            if (l < bytes && b < SIMD) {
              data.b[b % SIMD] = q.b[l];
              strobe |= (wide_t)1 << (b % SIMD);
            }
            if (l < bytes && b >= SIMD) {
              carry.b[b % SIMD] = q.b[l];
              carryStrobe |= (wide_t)1 << (b % SIMD);
            }
          }
          held = 0;
          ++done;
          c += LANES;
          if (c >= r[OUT_CHANNELS]) {
            c = 0;
            pixel += r[OUT_PIXEL];
          }
        }
      }
      EMIT(results, index, data, strobe);
      if (index < last) EMIT(results, index + 1, carry, carryStrobe);
      WRITTEN(results);
    }
  }
)C";

const Stage kStages[] = {
    {"dispatch",
     "sends the rows of the table to all stages",
     {},
     {{"load_rows", "int"},
      {"window_rows", "int"},
      {"multiply_rows", "int"},
      {"scale_rows", "int"},
      {"other_rows", "int"},
      {"requantize_rows", "int"},
      {"store_rows", "int"}},
     {{"table", "int"}},
     "int first, ",
     kDispatch},
    {"load",
     "reads the input map once, as words of SIMD channels of a pixel, from bytes of any alignment",
     {{"load_rows", "int"}},
     {{"loaded", "word"}},
     {{"activations", "word", true}},
     "",
     kLoad},
    {"window",
     "keeps some rows in a line buffer and hands on the taps of every output's window",
     {{"window_rows", "int"}, {"loaded", "word"}},
     {{"taps", "word"}},
     {},
     "",
     kWindow},
    {"fetch_weights",
     "reads the weights of every row, from the table's own second port",
     {},
     {{"weight_beats", "beat"}},
     {{"plan", "int"}, {"weights", "beat", true}},
     "int first, ",
     kWeights},
    {"multiply",
     "multiplies and sums: PE outputs by SIMD inputs in a cycle",
     {{"multiply_rows", "int"}, {"taps", "word"}, {"weight_beats", "beat"}},
     {{"summed", "sums"}},
     {},
     "",
     kMultiply},
    {"fetch_scales",
     "reads scales, biases and tables of every row",
     {{"scale_rows", "int"}},
     {{"scaled", "scale"}},
     {{"scales", "scale"}},
     "",
     kScales},
    {"fetch_other",
     "reads the other operand of residual sums",
     {{"other_rows", "int"}},
     {{"others", "word"}},
     {{"residual", "word", true}},
     "",
     kOther},
    {"requantize",
     "makes codes of sums, LANES in a cycle",
     {{"requantize_rows", "int"}, {"summed", "sums"}, {"scaled", "scale"}, {"others", "word"}},
     {{"pieces_made", "piece"}},
     {},
     "",
     kRequantize},
    {"store",
     "writes the output map, at bytes of any alignment",
     {{"store_rows", "int"}, {"pieces_made", "piece"}},
     {},
     {{"results", "word", true, true}},
     "",
     kStore},
};

} // namespace

std::span<const Stage> stages() { return kStages; }

std::string_view sharedFunctions() { return kShared; }

} // namespace planish::codegen::fpga
