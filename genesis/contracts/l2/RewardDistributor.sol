// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {InferenceEscrow} from "./InferenceEscrow.sol";
import {Predeploys} from "./Predeploys.sol";

/// @title RewardDistributor
/// @notice Holds every fee from settlement to claim. A reward counts at once and can be claimed when its
/// epoch has ended and the challenge time after it has passed: its receipts are final then.
///
///     fund (escrow) -> accrue (receipts, the same wei in the same transaction) -> claim (anyone, to the owner)
///                          \-> hold (a receipt is reported) -> restore (accrued anew) or refund (to the payer)
///
/// What it owes is `totalAccrued - totalClaimed`, beside what is held, and it holds exactly that.
contract RewardDistributor {
    event Accrued(uint256 indexed epoch, address indexed account, uint256 amount);
    event Claimed(uint256 indexed epoch, address indexed account, uint256 amount);
    event Held(uint256 indexed epoch, address indexed account, uint256 amount);

    error NotEscrow(address caller);
    error NotReceiptRegistry(address caller);
    /// @notice Every funded wei accrues, and none that was not funded.
    error NotExact(uint256 funded, uint256 accrued);
    error LengthMismatch(uint256 accounts, uint256 amounts);
    /// @notice Claimable from this time on, seconds.
    error EpochNotFinal(uint256 epoch, uint256 claimableFrom);
    error NothingToClaim(uint256 epoch, address account);
    error TooManyEpochs(uint256 count);
    error TransferFailed();

    uint256 public constant CLAIM_EPOCHS_MAX = 256;
    /// @notice Epochs one `claimable` call looks at.
    uint256 public constant VIEW_EPOCHS_MAX = 1_024;

    uint256 public epochSeconds; // slot 0, set in the genesis alloc
    uint256 public challengeSeconds; // slot 1, set in the genesis alloc
    uint256 public totalAccrued; // slot 2
    uint256 public totalClaimed; // slot 3
    /// @notice Funded and not yet accrued; zero between transactions.
    uint256 public unaccrued; // slot 4
    mapping(uint256 epoch => mapping(address account => uint256 wei_)) public accruedInEpoch; // slot 5
    /// @notice Accrued and not yet claimed, final or not.
    mapping(address account => uint256 wei_) public pending; // slot 6
    mapping(address account => uint64[] epochs) private _epochs; // slot 7, ascending
    mapping(address account => uint256 position) private _firstUnclaimed; // slot 8
    /// @notice Taken out of accounts because their receipts are reported.
    uint256 public totalHeld; // slot 9

    /// @notice Takes a fee from the escrow.
    function fund() external payable {
        if (msg.sender != Predeploys.INFERENCE_ESCROW) revert NotEscrow(msg.sender);
        unaccrued += msg.value;
    }

    /// @notice Books what was just funded to accounts; the amounts must sum to it.
    function accrue(address[] calldata accounts, uint256[] calldata amounts) external {
        _onlyReceiptRegistry();
        if (accounts.length != amounts.length) {
            revert LengthMismatch(accounts.length, amounts.length);
        }
        uint256 epoch = currentEpoch();
        uint256 sum = 0;
        for (uint256 i = 0; i < accounts.length; ++i) {
            if (amounts[i] == 0) continue;
            sum += amounts[i];
            _book(epoch, accounts[i], amounts[i]);
        }
        if (sum != unaccrued) revert NotExact(unaccrued, sum);
        unaccrued = 0;
        totalAccrued += sum;
    }

    /// @notice Takes one receipt's payouts out of an epoch that is not final yet; the registry knows the amounts.
    function hold(uint256 epoch, address[] calldata accounts, uint256[] calldata amounts)
        external
    {
        _onlyReceiptRegistry();
        uint256 sum = 0;
        for (uint256 i = 0; i < accounts.length; ++i) {
            accruedInEpoch[epoch][accounts[i]] -= amounts[i];
            pending[accounts[i]] -= amounts[i];
            sum += amounts[i];
            emit Held(epoch, accounts[i], amounts[i]);
        }
        totalAccrued -= sum;
        totalHeld += sum;
    }

    /// @notice Books what was held again, now: the report was wrong.
    function restore(address[] calldata accounts, uint256[] calldata amounts) external {
        _onlyReceiptRegistry();
        uint256 epoch = currentEpoch();
        uint256 sum = 0;
        for (uint256 i = 0; i < accounts.length; ++i) {
            sum += amounts[i];
            if (amounts[i] != 0) _book(epoch, accounts[i], amounts[i]);
        }
        totalHeld -= sum;
        totalAccrued += sum;
    }

    /// @notice Gives what was held back to who paid for the answer: the report was right.
    function refund(address payer, uint256 amount) external {
        _onlyReceiptRegistry();
        totalHeld -= amount;
        InferenceEscrow(Predeploys.INFERENCE_ESCROW).depositFor{value: amount}(payer);
    }

    /// @notice Pays the caller what these epochs hold for it.
    function claim(uint256[] calldata epochs) external returns (uint256 amount) {
        return _claim(msg.sender, epochs);
    }

    /// @notice The same for somebody who has no gas: pays `account`, whoever calls.
    function claimFor(address account, uint256[] calldata epochs)
        external
        returns (uint256 amount)
    {
        return _claim(account, epochs);
    }

    function currentEpoch() public view returns (uint256) {
        return epochOf(block.timestamp);
    }

    function epochOf(uint256 timestamp) public view returns (uint256) {
        return timestamp / epochSeconds;
    }

    /// @notice When the rewards of an epoch are final, seconds.
    function claimableFrom(uint256 epoch) public view returns (uint256) {
        return (epoch + 1) * epochSeconds + challengeSeconds;
    }

    /// @notice What `account` could claim now, of its `VIEW_EPOCHS_MAX` oldest unclaimed epochs.
    function claimable(address account) external view returns (uint256 amount) {
        uint64[] storage epochs = _epochs[account];
        uint256 from = _firstUnclaimed[account];
        for (uint256 i = from; i < epochs.length && i < from + VIEW_EPOCHS_MAX; ++i) {
            if (block.timestamp < claimableFrom(epochs[i])) break;
            amount += accruedInEpoch[epochs[i]][account];
        }
    }

    /// @notice Epochs that hold something unclaimed for `account`, oldest first, at most `VIEW_EPOCHS_MAX`.
    function unclaimedEpochs(address account) external view returns (uint256[] memory found) {
        uint64[] storage epochs = _epochs[account];
        uint256 from = _firstUnclaimed[account];
        found = new uint256[](VIEW_EPOCHS_MAX);
        uint256 count = 0;
        for (uint256 i = from; i < epochs.length && i < from + VIEW_EPOCHS_MAX; ++i) {
            if (accruedInEpoch[epochs[i]][account] != 0) found[count++] = epochs[i];
        }
        assembly ("memory-safe") {
            mstore(found, count)
        }
    }

    function _onlyReceiptRegistry() private view {
        if (msg.sender != Predeploys.RECEIPT_REGISTRY) revert NotReceiptRegistry(msg.sender);
    }

    function _book(uint256 epoch, address account, uint256 amount) private {
        uint256 before = accruedInEpoch[epoch][account];
        uint64[] storage epochs = _epochs[account];
        // A hold may have emptied an epoch that is listed already.
        if (before == 0 && (epochs.length == 0 || epochs[epochs.length - 1] != epoch)) {
            epochs.push(uint64(epoch));
        }
        accruedInEpoch[epoch][account] = before + amount;
        pending[account] += amount;
        emit Accrued(epoch, account, amount);
    }

    function _claim(address account, uint256[] calldata epochs) private returns (uint256 amount) {
        if (epochs.length > CLAIM_EPOCHS_MAX) revert TooManyEpochs(epochs.length);
        for (uint256 i = 0; i < epochs.length; ++i) {
            uint256 epoch = epochs[i];
            uint256 part = accruedInEpoch[epoch][account];
            if (part == 0) revert NothingToClaim(epoch, account);
            if (block.timestamp < claimableFrom(epoch)) {
                revert EpochNotFinal(epoch, claimableFrom(epoch));
            }
            accruedInEpoch[epoch][account] = 0;
            amount += part;
            emit Claimed(epoch, account, part);
        }
        pending[account] -= amount;
        totalClaimed += amount;
        _skipClaimed(account, epochs.length);
        (bool ok,) = account.call{value: amount}("");
        if (!ok) revert TransferFailed();
    }

    /// Moves the cursor over epochs that hold nothing any more, no further than this claim paid for.
    function _skipClaimed(address account, uint256 stepsMax) private {
        uint64[] storage epochs = _epochs[account];
        uint256 pos = _firstUnclaimed[account];
        uint256 end = pos + stepsMax < epochs.length ? pos + stepsMax : epochs.length;
        while (pos < end && accruedInEpoch[epochs[pos]][account] == 0) ++pos;
        _firstUnclaimed[account] = pos;
    }
}
