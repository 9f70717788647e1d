#include "mg/base/error.h"
