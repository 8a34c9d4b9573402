"""Whether another project's package is here: as suite.core.packages has it."""

from suite.core.packages import check_package as check_package
