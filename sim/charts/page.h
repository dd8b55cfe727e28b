// One page of HTML that needs nothing else: pictures inline, tables, and what a reader must know
// about the run. No dates, so equal runs give equal bytes.
//
// Ownership: a value. Threading: pure. Errors: none.
#ifndef SCOVILLE_SIM_CHARTS_PAGE_H_
#define SCOVILLE_SIM_CHARTS_PAGE_H_

#include <string>
#include <utility>
#include <vector>

#include "sim/charts/figure.h"
#include "sim/charts/table.h"

namespace scoville::sim::charts {

struct Page {
  std::string title;
  std::string lead;                  // one or two sentences: what was asked, what came out
  std::vector<std::string> banners;  // what must not be overlooked
  std::vector<std::pair<std::string, std::string>> facts;
  std::vector<Figure> figures;
  std::vector<Table> tables;
  std::vector<std::string> notes;
};

std::string ToHtml(const Page& page);

}  // namespace scoville::sim::charts

#endif  // SCOVILLE_SIM_CHARTS_PAGE_H_
