// What the templates share: how axes lie in memory, what roles they play, and how work is divided.
#pragma once

#include "planish/schedule/Template.h"

namespace planish::schedule {

/// Elements between neighbours along `axis` in an access; nothing if that is not a constant.
std::optional<int64_t> strideOf(const loop::BufferNode &b, const std::vector<Expr> &indices,
                                const Axis &axis);
/// The same for a load.
std::optional<int64_t> strideOf(const Expr &load, const Axis &axis);
/// Elements between neighbours of the output; where symbolic, its bound.
int64_t outStride(const Kernel &k, const Axis &axis);
/// Sorts axes by output stride, largest first.
void sortByOutput(const Kernel &k, std::vector<Axis> &axes);
/// Fuses neighbours in `axes` where every address stays affine.
void fuseCollapsing(Kernel &k, std::vector<Axis> &axes);
/// The loads in an expression (not those inside indices of others).
std::vector<Expr> loadsIn(const Expr &e);
/// What is cast, if `e` is a cast.
Expr withoutCast(const Expr &e);
/// left * right are products of 8-bit and constant s8 codes summed in i32, which Dot4 takes four at a time.
bool multipliesCodes(const Kernel &k, const Expr &left, const Expr &right);
/// Lanes for an axis: all of the register, or the power of two that holds a short axis.
int64_t lanesFor(const Kernel &k, const Axis &axis, const Target &t, DType type);

/// Iterations of the whole nest at the bound of the symbols.
double iterations(const Kernel &k);
/// Bytes of the buffer behind the first load of an expression, at the bound of the symbols.
double operandBytes(const Expr &e);
/// Bytes of the output, at the bound of the symbols.
double outputBytes(const Kernel &k);
/// Which of the outer axes to run in parallel: 0 for none (one core, or nothing to divide), else its position
/// + 1. The one with the least time wins, the first of equals: the work over the cores, as evenly as the axis
/// divides, and `traffic`, the nanoseconds that every core then waits for what others hold.
int64_t balancedAxis(const Kernel &k, const std::vector<Axis> &outer, double nanoseconds, const Target &t,
                     const std::function<double(const Axis &)> &traffic = {});
/// Marks outer[choice - 1], if there is one, as parallel.
void markParallel(Kernel &k, const std::vector<Axis> &outer, int64_t choice);

int64_t knob(const Config &c, std::string_view name);

/// Winograd's transform applies: then the knob "tile" chooses between it and direct sums.
bool hasWinograd(const Kernel &k, const Target &t);

extern const Template kWinograd, kContraction, kWindow, kPointwise, kReduction;
/// For devices with groups of work-items (Target::groupItems).
extern const Template kWarpContraction, kPipelinedContraction, kGroupContraction, kGroupReduction,
    kItemPointwise, kItemWindow;

} // namespace planish::schedule
