#include "Output.h"

#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#include <stb/stb_image_write.h>

#include <fstream>

namespace planish::stream {

Status writePicture(const std::string &path, const run::Pixels &picture) {
  constexpr int kQuality = 90;
  std::ofstream file(path, std::ios::binary);
  const auto put = [](void *to, void *data, int size) {
    static_cast<std::ofstream *>(to)->write(static_cast<const char *>(data), size);
  };
  const bool done = path.ends_with(".png") || path.ends_with(".PNG")
                        ? stbi_write_png_to_func(put, &file, picture.width, picture.height, picture.channels,
                                                 picture.data.data(), picture.width * picture.channels)
                        : stbi_write_jpg_to_func(put, &file, picture.width, picture.height, picture.channels,
                                                 picture.data.data(), kQuality);
  if (!done || !file.flush()) return failed("cannot write '" + path + "'");
  return {};
}

} // namespace planish::stream
